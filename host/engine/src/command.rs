//! What an account is asked to do. Everything that changes an account is one of these.

use std::sync::Arc;

use crate::content::{Entry, Facts, Message};
use crate::decision::{Decision, Failure};
use crate::document::{Document, DocumentKey};
use crate::event::DeliveryKey;
use crate::id::{CallId, Digest, InteractionId, Name};

/// A command to one account.
#[derive(Debug, Clone)]
pub enum Command {
    /// A client submits an interaction.
    Submit(Box<Submission>),
    /// A strategy call that was awaited has ended.
    StrategyAnswered {
        /// Which call.
        call: CallId,
        /// For which interaction.
        interaction: InteractionId,
        /// What came of it.
        answer: Answer,
    },
    /// The timer of an interaction is due. Rejected where it has none, or a later one.
    TimerDue {
        /// Which interaction.
        interaction: InteractionId,
    },
    /// The content of an interaction that is under way cannot be read. Needs none itself: parks it.
    ContentLost {
        /// Which interaction.
        interaction: InteractionId,
        /// In words.
        why: String,
    },
    /// Sets items of user data; an empty value removes the item.
    SetUserData {
        /// Which interaction.
        interaction: InteractionId,
        /// At least one.
        entries: Vec<Entry>,
    },
    /// Ends an interaction wherever it is.
    Cancel {
        /// Which interaction.
        interaction: InteractionId,
        /// In words.
        reason: String,
        /// Name of the token.
        by: String,
    },
    /// Goes on with a parked interaction, in the newest version of its workflow that has the element.
    Resume {
        /// Which interaction.
        interaction: InteractionId,
        /// Where; left out: at the element where it was parked.
        element: Option<Name>,
        /// Name of the token.
        by: String,
    },
    /// Takes the next interaction out of a queue.
    Take {
        /// Which queue.
        queue: Name,
        /// Name of the token.
        by: String,
    },
    /// Puts a taken interaction back, to the place in its queue that it had.
    Release {
        /// Which interaction.
        interaction: InteractionId,
        /// Name of the token.
        by: String,
        /// Whether the token may do so with what another one took.
        for_anyone: bool,
    },
    /// Says that the work on a taken interaction is done; its workflow goes on.
    Complete {
        /// Which interaction.
        interaction: InteractionId,
        /// How it ended.
        disposition: String,
        /// Name of the token.
        by: String,
        /// Whether the token may do so with what another one took.
        for_anyone: bool,
    },
    /// Puts a document. The version of a workflow is given by the account.
    Put {
        /// The document.
        document: Document,
        /// Name of the token.
        by: String,
    },
    /// Takes a document away.
    Remove {
        /// Which.
        key: DocumentKey,
        /// Name of the token.
        by: String,
    },
    /// A deployment was compiled anew, for its image did not fit this machine.
    Recompiled {
        /// Which.
        deployment: Name,
        /// SHA-256 of the new image.
        image: Digest,
    },
    /// An attempt to deliver a message has ended.
    DeliveryAttempted {
        /// Which delivery.
        delivery: DeliveryKey,
        /// Why it failed, if it did.
        result: Result<(), String>,
    },
    /// Tries a parked delivery again. Rejected where its webhook is gone.
    Redeliver {
        /// Which delivery.
        delivery: DeliveryKey,
        /// Name of the token.
        by: String,
    },
}

/// A new interaction.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Made by the caller, never used before.
    pub id: InteractionId,
    /// The workflow that it enters, in its newest version.
    pub workflow: Name,
    /// What came.
    pub message: Arc<Message>,
    /// What the client knows of it.
    pub facts: Facts,
}

/// What came of a strategy call.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The decision, or why there is none.
    pub result: Result<Decision, Failure>,
}
