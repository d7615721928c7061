//! What a deployment may use, on the command line.

use std::collections::BTreeSet;

use clap::Args;
use signalbox_engine::Scope;

/// Without any it may use everything of its account; with one, what is named and nothing else.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct GrantArgs {
    /// An interface that it may import, such as tables, or '*'; may be repeated. `log` needs none.
    #[arg(long = "grant-import", value_name = "INTERFACE")]
    grant_imports: Vec<String>,
    /// A table that it may look something up in, or '*'; may be repeated.
    #[arg(long = "grant-table", value_name = "TABLE")]
    grant_tables: Vec<String>,
    /// A queue that it may ask about and send to, or '*'; may be repeated.
    #[arg(long = "grant-queue", value_name = "QUEUE")]
    grant_queues: Vec<String>,
}

impl GrantArgs {
    /// What was named; none where nothing was.
    pub fn scope(&self) -> Option<Scope> {
        let Self { grant_imports: imports, grant_tables: tables, grant_queues: queues } = self;
        let named = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        let scope = Scope { imports: named(imports), tables: named(tables), queues: named(queues) };
        (scope != Scope::default()).then_some(scope)
    }
}
