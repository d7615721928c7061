//! Real messages, where they are there: `../shared/data` beside the checkout.

use std::path::PathBuf;

fn file(name: &str) -> Option<PathBuf> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if file.is_file() {
        return Some(file);
    }
    println!("skipped: {} is not there", file.display());
    None
}

/// 10,003 messages to a bank: `text,category` with a header.
#[must_use]
pub fn banking77() -> Option<PathBuf> {
    file("banking77/train.csv")
}

/// 4,137 SMS messages: `ham` or `spam`, a tab, the text.
#[must_use]
pub fn sms_spam() -> Option<PathBuf> {
    file("sms-spam/train.tsv")
}
