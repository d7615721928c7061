//! Records of a file: CSV, TSV or JSON lines, with columns by name or by number.
//!
//! CSV is read with quotes (RFC 4180). TSV is read without, as a quotation mark in a tab-separated file is most often just
//! that. JSON lines have no numbers of columns: theirs are the fields of each object.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use super::error::Error;
use super::output::text;

/// How a file of records is to be read.
#[derive(Debug, Clone, Args)]
pub(super) struct Source {
    /// File to read: .csv, .tsv or .jsonl.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    #[command(flatten)]
    pub layout: Layout,
}

/// What the file's name does not tell.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Layout {
    /// What separates columns, where the extension does not tell: one character, `tab` or `json` for JSON lines.
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<String>,
    /// The first line is a record already. Columns then have numbers only.
    #[arg(long)]
    pub no_header: bool,
}

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A file that has been read.
#[derive(Debug)]
pub(super) enum Records {
    /// Columns by name and by number.
    Columns { file: PathBuf, names: Option<Vec<String>>, rows: Vec<csv::StringRecord> },
    /// Fields by name.
    Objects { file: PathBuf, rows: Vec<Map<String, Value>> },
}

/// A column that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    Number(usize),
    Field(String),
}

impl Records {
    /// Reads a whole file.
    pub fn read(file: &Path, layout: &Layout) -> Result<Self, Error> {
        let size = std::fs::metadata(file).map_err(|error| Error::file("read", file, &error))?.len();
        if size > FILE_BYTES_MAX {
            return Err(Error::new(format!(
                "{} has {size} bytes, and at most {FILE_BYTES_MAX} are read",
                file.display()
            ))
            .fix("split the file"));
        }
        let content = std::fs::read(file).map_err(|error| Error::file("read", file, &error))?;
        let content = String::from_utf8(content).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
            Error::new(format!("{} is not UTF-8", file.display()))
                .at(format!("line {line}"))
                .fix("convert it with iconv")
        })?;
        let content = content.strip_prefix('\u{feff}').unwrap_or(&content);
        match separator(file, layout)? {
            Separator::Json => objects(file, content),
            Separator::Byte(byte) => columns(file, content, byte, layout.no_header),
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Columns { rows, .. } => rows.len(),
            Self::Objects { rows, .. } => rows.len(),
        }
    }

    /// Finds columns by name, else by number. Numbers count from 1; where one of those asked for is 0, from 0.
    pub fn columns(&self, wanted: &[&str]) -> Result<Vec<Column>, Error> {
        let first = usize::from(!wanted.iter().any(|name| self.named(name).is_none() && *name == "0"));
        wanted.iter().map(|name| self.column(name, first)).collect()
    }

    /// The columns that a text is made of: one, or several with commas between them.
    pub fn parts<'a>(&self, wanted: &'a str) -> Vec<&'a str> {
        if self.named(wanted).is_some() { vec![wanted] } else { wanted.split(',').map(str::trim).collect() }
    }

    /// The fields of a record, those that are not empty, a line each.
    pub fn joined(&self, record: usize, columns: &[Column]) -> String {
        let mut fields: Vec<_> = columns.iter().map(|column| self.field(record, column)).collect();
        fields.retain(|field| !field.is_empty());
        fields.join("\n")
    }

    fn named(&self, name: &str) -> Option<Column> {
        match self {
            Self::Columns { names, .. } => {
                names.as_ref()?.iter().position(|known| known.trim() == name).map(Column::Number)
            }
            Self::Objects { rows, .. } => {
                rows.iter().any(|row| row.contains_key(name)).then(|| Column::Field(name.into()))
            }
        }
    }

    fn column(&self, name: &str, first: usize) -> Result<Column, Error> {
        if let Some(column) = self.named(name) {
            return Ok(column);
        }
        let (file, there_are) = match self {
            Self::Columns { file, names, rows } => {
                let width =
                    names.as_ref().map(Vec::len).or_else(|| rows.iter().map(csv::StringRecord::len).max()).unwrap_or(0);
                let index = name.parse::<usize>().ok().and_then(|number| number.checked_sub(first));
                if let Some(index) = index.filter(|index| *index < width) {
                    return Ok(Column::Number(index));
                }
                let names = names.as_ref().map(|names| format!(": {}", names.join(", "))).unwrap_or_default();
                (file, format!("it has {width} columns{names}"))
            }
            Self::Objects { file, rows } => {
                let names: Vec<&str> =
                    rows.first().into_iter().flat_map(|row| row.keys()).map(String::as_str).collect();
                (file, format!("its first line has the fields {}", names.join(", ")))
            }
        };
        Err(Error::new(format!("{} has no column `{name}`", file.display()))
            .fix(format!("name one that is there ({there_are}), or give its number, counted from 1")))
    }

    /// A field of a record; empty where the record is too short or has no such field.
    pub fn field(&self, record: usize, column: &Column) -> String {
        match (self, column) {
            (Self::Columns { rows, .. }, Column::Number(index)) => {
                rows[record].get(*index).unwrap_or_default().to_owned()
            }
            (Self::Objects { rows, .. }, Column::Field(name)) => rows[record].get(name).map(text).unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// A field of a record as it stands: JSON in JSON lines, text otherwise; none where it is empty.
    pub fn value(&self, record: usize, name: &str) -> Option<Value> {
        match self {
            Self::Objects { rows, .. } => rows[record].get(name).filter(|value| !value.is_null()).cloned(),
            Self::Columns { .. } => {
                let text = self.field(record, &self.named(name)?);
                (!text.is_empty()).then_some(Value::String(text))
            }
        }
    }
}

enum Separator {
    Byte(u8),
    Json,
}

fn separator(file: &Path, layout: &Layout) -> Result<Separator, Error> {
    let extension = file.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match (layout.delimiter.as_deref(), extension.as_deref()) {
        (Some("tab" | "\\t" | "\t"), _) => Ok(Separator::Byte(b'\t')),
        (Some("json"), _) => Ok(Separator::Json),
        (Some(one), _) if one.len() == 1 => Ok(Separator::Byte(one.as_bytes()[0])),
        (Some(other), _) => {
            Err(Error::usage(format!("`{other}` is not a delimiter")).fix("give one ASCII character, `tab` or `json`"))
        }
        (None, Some("csv")) => Ok(Separator::Byte(b',')),
        (None, Some("tsv" | "tab")) => Ok(Separator::Byte(b'\t')),
        (None, Some("jsonl" | "ndjson")) => Ok(Separator::Json),
        (None, _) => {
            Err(Error::usage(format!("the name of {} does not tell what separates its columns", file.display()))
                .fix("say it with --delimiter: one character, `tab` or `json`"))
        }
    }
}

fn columns(file: &Path, content: &str, delimiter: u8, no_header: bool) -> Result<Records, Error> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter != b'\t')
        .has_headers(!no_header)
        .flexible(true)
        .from_reader(content.as_bytes());
    let malformed = |error: &csv::Error| Error::new(format!("{} cannot be read", file.display())).because(error);
    let names = if no_header {
        None
    } else {
        Some(reader.headers().map_err(|error| malformed(&error))?.iter().map(str::to_owned).collect())
    };
    let rows = reader.records().collect::<Result<_, _>>().map_err(|error| malformed(&error))?;
    Ok(Records::Columns { file: file.to_owned(), names, rows })
}

fn objects(file: &Path, content: &str) -> Result<Records, Error> {
    let lines = content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(at, line)| {
        serde_json::from_str(line).map_err(|error| {
            Error::new(format!("{}: a line is not a JSON object", file.display()))
                .because(&error)
                .at(format!("line {}", at + 1))
        })
    });
    Ok(Records::Objects { file: file.to_owned(), rows: rows.collect::<Result<_, _>>()? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(name: &str, content: &str, no_header: bool) -> Records {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        Records::read(&file, &Layout { delimiter: None, no_header }).unwrap()
    }

    #[test]
    fn a_column_is_found_by_name_and_by_number_from_1() {
        let records = read("a.csv", "text,category\n\"a, \"\"b\"\"\",x\n", false);
        for wanted in [["text", "category"], ["1", "2"], ["0", "1"], ["text", "2"]] {
            let found = records.columns(&wanted).unwrap();
            assert_eq!(found, [Column::Number(0), Column::Number(1)], "{wanted:?}");
        }
        assert_eq!(records.field(0, &Column::Number(0)), "a, \"b\"");
        assert!(records.columns(&["3"]).is_err());
        assert!(records.columns(&["nothing"]).unwrap_err().fix.unwrap().contains("text, category"));
    }

    #[test]
    fn a_text_is_made_of_several_columns() {
        let records = read("a.csv", "subject,text,\"a,b\"\nHello,World,1\n,Alone,2\n", false);
        let columns = records.columns(&records.parts("subject, text")).unwrap();
        assert_eq!(records.joined(0, &columns), "Hello\nWorld");
        assert_eq!(records.joined(1, &columns), "Alone");
        assert_eq!(records.parts("a,b"), ["a,b"]);
    }

    #[test]
    fn a_quotation_mark_in_tsv_is_just_that() {
        let records = read("a.tsv", "ham\t\"Hello\nspam\tWin \"now\"\n", true);
        assert_eq!(records.len(), 2);
        assert_eq!(records.field(0, &Column::Number(1)), "\"Hello");
    }

    #[test]
    fn json_lines_keep_their_values() {
        let records = read("a.jsonl", "{\"text\":\"a\",\"headers\":[1]}\n\n{\"text\":\"b\"}\n", false);
        assert_eq!(records.len(), 2);
        assert_eq!(records.value(0, "headers"), Some(serde_json::json!([1])));
        assert_eq!(records.value(1, "headers"), None);
        assert_eq!(records.field(1, &Column::Field("text".into())), "b");
    }
}
