//! What of its account a deployment may use: an operator's answer to a strategy from somebody else.
//!
//! Does not know which interfaces there are: the strategy runtime does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::decide::invalid;
use crate::id::Name;
use crate::rejection::Rejection;

/// What a deployment may use. What is not named is refused; `*` names all. Tables and queues need not be there yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Grants)]
pub struct Scope {
    /// Interfaces of `signalbox:strategy` that it may import, such as `tables`. A component that imports another is not
    /// deployed. `log` may always be imported, and WASI, behind which is nothing.
    pub imports: BTreeSet<String>,
    /// Tables that it may look something up in. A lookup in another ends the call as a failure, `refused`.
    pub tables: BTreeSet<String>,
    /// Queues whose statistics it may ask for and that it may route, forward or redirect to. Another ends the call as a
    /// failure, `refused`.
    pub queues: BTreeSet<String>,
}

impl Scope {
    /// Stands for all of a kind.
    pub const ALL: &str = "*";
    /// Names of one kind.
    pub const NAMES_MAX: usize = 1000;

    /// Whether an interface may be imported.
    #[must_use]
    pub fn allows_import(&self, interface: &str) -> bool {
        names(&self.imports, interface)
    }

    /// Whether a table may be asked.
    #[must_use]
    pub fn allows_table(&self, table: &str) -> bool {
        names(&self.tables, table)
    }

    /// Whether a queue may be asked about and routed to.
    #[must_use]
    pub fn allows_queue(&self, queue: &str) -> bool {
        names(&self.queues, queue)
    }

    pub(crate) fn check(&self) -> Result<(), Rejection> {
        let kinds =
            [("grants.imports", &self.imports), ("grants.tables", &self.tables), ("grants.queues", &self.queues)];
        for (field, named) in kinds {
            if named.len() > Self::NAMES_MAX {
                return Err(invalid(field, format!("at most {} names; `*` for all", Self::NAMES_MAX)));
            }
            let is_name = |name: &&String| name.as_str() == Self::ALL || Name::new(name).is_ok();
            if let Some(odd) = named.iter().find(|name| !is_name(name)) {
                let odd: String = odd.chars().take(80).collect();
                return Err(invalid(field, format!("`{odd}` is no name; `*` stands for all")));
            }
        }
        Ok(())
    }
}

fn names(named: &BTreeSet<String>, name: &str) -> bool {
    named.contains(name) || named.contains(Scope::ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(json: &str) -> Scope {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_not_named_is_not_allowed() {
        let some = scope(r#"{"imports": ["tables"], "tables": ["vips"], "queues": ["*"]}"#);
        assert!(some.allows_import("tables") && !some.allows_import("statistics"));
        assert!(some.allows_table("vips") && !some.allows_table("blocked"));
        assert!(some.allows_queue("billing"));
        let none = scope("{}");
        assert!(!none.allows_import("tables") && !none.allows_table("vips") && !none.allows_queue("billing"));
    }

    #[test]
    fn names_are_bounded() {
        assert!(scope(r#"{"tables": ["vips", "*"]}"#).check().is_ok());
        assert!(scope(r#"{"queues": ["Not a queue"]}"#).check().is_err());
        let tables = (0..=Scope::NAMES_MAX).map(|n| n.to_string()).collect();
        assert!(Scope { tables, ..Scope::default() }.check().is_err());
    }
}
