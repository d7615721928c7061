//! Pages of lists, and the opaque cursors between them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use signalbox_engine::Name;
use utoipa::ToSchema;

use super::Problem;

/// Items of a page where nobody says how many.
const LIMIT: usize = 50;
/// Items of a page at most.
pub(super) const LIMIT_MAX: usize = 200;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// In the order of the list.
    pub(super) items: Vec<T>,
    /// Cursor of the next page; none at the end of the list. A page may be short, or even empty, and still have a next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

impl<T> Page<T> {
    /// The one page of a list that comes whole.
    pub(super) fn whole(items: impl IntoIterator<Item = T>) -> Self {
        Self { items: items.into_iter().collect(), next: None }
    }
}

/// How many items are wanted.
///
/// # Errors
/// `query-invalid` where it is not 1 to 200.
pub(super) fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    match wanted {
        None => Ok(LIMIT),
        Some(limit @ 1..=LIMIT_MAX) => Ok(limit),
        Some(_) => Err(Problem::query_invalid("limit", format!("1 to {LIMIT_MAX}"))),
    }
}

/// Where a list goes on, as text.
pub(super) fn encode(key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// Where a list goes on, in a list whose keys have `N` bytes.
///
/// # Errors
/// `cursor-invalid` where it does not come from such a list.
pub(super) fn decode<const N: usize>(cursor: Option<&str>) -> Result<Option<[u8; N]>, Problem> {
    cursor
        .map(|text| {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Problem::cursor_invalid())?;
            bytes.try_into().map_err(|_| Problem::cursor_invalid())
        })
        .transpose()
}

/// Where a list goes on whose keys are names.
///
/// # Errors
/// `cursor-invalid` where it does not come from such a list.
pub(super) fn decode_name(cursor: &str) -> Result<Name, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Problem::cursor_invalid())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Problem::cursor_invalid())?;
    Name::new(text).map_err(|_| Problem::cursor_invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_another_lists_is_refused() {
        let text = encode(&[7; 16]);
        assert_eq!(decode::<16>(Some(&text)).unwrap(), Some([7; 16]));
        assert_eq!(decode::<8>(Some(&text)).unwrap_err().code(), "cursor-invalid");
        assert_eq!(decode::<16>(Some("%%%")).unwrap_err().code(), "cursor-invalid");
        assert_eq!(decode::<16>(None).unwrap(), None);
    }
}
