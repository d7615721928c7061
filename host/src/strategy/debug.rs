//! Files and lines in a component: the `.debug_*` sections of its modules, which nothing but an author's trap needs.
//!
//! They are often ten times as large as the code, so what is deployed goes without them.

/// The component without them; a component that has none comes back as it was, and so does what is no component.
#[must_use]
pub fn without_lines(component: &[u8]) -> Vec<u8> {
    nested(component, 0).unwrap_or_else(|| component.to_vec())
}

/// Magic number and version.
const PREAMBLE_BYTES: usize = 8;

/// How deep modules and components may nest.
const NESTING_MAX: usize = 16;

const CUSTOM: u8 = 0;
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// `None` where the bytes are not what they say.
fn nested(binary: &[u8], depth: usize) -> Option<Vec<u8>> {
    let (preamble, mut rest) = binary.split_at_checked(PREAMBLE_BYTES)?;
    let is_component = preamble.get(6..)? == [1, 0];
    let mut out = preamble.to_vec();
    while let Some((&id, after)) = rest.split_first() {
        let (size, after) = leb(after)?;
        let (content, after) = after.split_at_checked(size)?;
        let section = &rest[..rest.len() - after.len()];
        rest = after;
        if id == CUSTOM && is_debug(content) {
            continue;
        }
        let has_inner = is_component && matches!(id, CORE_MODULE | COMPONENT) && depth < NESTING_MAX;
        let inner = if has_inner { Some(nested(content, depth + 1)?) } else { None };
        match inner.filter(|inner| inner != content) {
            Some(inner) => {
                out.push(id);
                push_leb(&mut out, inner.len());
                out.extend(inner);
            }
            // As it is: a size may be written longer than it must be.
            None => out.extend(section),
        }
    }
    Some(out)
}

fn is_debug(custom: &[u8]) -> bool {
    let name = leb(custom).and_then(|(size, after)| after.get(..size));
    name.is_some_and(|name| name.starts_with(b".debug_"))
}

/// An unsigned number as WebAssembly writes sizes (LEB128), and what follows it.
fn leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u32;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f).checked_shl(7 * u32::try_from(at).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[at + 1..]));
        }
    }
    None
}

fn push_leb(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(name: &str) -> String {
        format!("(@custom \"{name}\" \"{}\")", "x".repeat(200))
    }

    #[test]
    fn debug_sections_go_from_every_level_and_all_else_stays() {
        let with = |debug: &str| {
            let module = format!("(core module {debug} {} (func (export \"f\")))", custom("producers"));
            wat::parse_str(format!("(component {module} (component {module}))")).unwrap()
        };
        let (debug, plain) = (with(&custom(".debug_line")), with(""));
        assert!(debug.len() > plain.len() + 400);
        assert_eq!(without_lines(&debug), plain);
        assert_eq!(without_lines(&plain), plain);
    }

    #[test]
    fn what_is_cut_off_comes_back_as_it_was() {
        let whole = wat::parse_str(format!("(component (core module {}))", custom(".debug_info"))).unwrap();
        for bytes in 0..whole.len() {
            assert_eq!(without_lines(&whole[..bytes]), whole[..bytes]);
        }
    }
}
