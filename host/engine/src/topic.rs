//! Types of the messages that webhooks can ask for.

/// Each with what it tells; `*` stands for all of them.
pub const TOPICS: [(&str, &str); 47] = [
    ("acknowledgement", "a receipt to the customer"),
    ("reply", "an answer to the customer"),
    ("forward", "an interaction, to an address outside"),
    ("interaction.submitted", "it came, from a client or as a copy of another"),
    ("interaction.workflow-entered", "it entered a workflow or a sub-workflow"),
    ("interaction.workflow-left", "it left a sub-workflow, or all by a redirect"),
    ("interaction.entered", "it entered an element"),
    ("interaction.user-data-set", "an item of user data was set or removed"),
    ("interaction.categorized", "a category was found"),
    ("interaction.language-set", "the language was found"),
    ("interaction.priority-set", "the priority changed"),
    ("interaction.skill-required", "a skill is wanted"),
    ("interaction.target-set", "who is to get it was set or used up"),
    ("interaction.hopped", "it was forwarded or redirected"),
    ("interaction.waiting", "it waits for a time"),
    ("interaction.queued", "it waits in a queue"),
    ("interaction.assigned", "an agent has it, or somebody took it out of its queue by hand"),
    ("interaction.released", "it went back to its place in the queue"),
    ("interaction.work-done", "the work on it is done"),
    ("interaction.completed", "it ended"),
    ("interaction.cancelled", "it was cancelled"),
    ("interaction.parked", "it cannot go on until an operator resumes it"),
    ("interaction.resumed", "an operator resumed it"),
    ("interaction.relaxed", "it has waited so long that others may get it"),
    ("interaction.retargeted", "its queue has another target, choice or number of offers"),
    ("interaction.attention-set", "its agent holds it, works on it, or put it into the workbin"),
    ("interaction.wrap-up-started", "the contact is over, after-contact work began"),
    ("interaction.abandoned", "the customer went away before anybody worked on it"),
    ("interaction.closed", "the customer closed it while somebody worked on it"),
    ("interaction.said", "somebody said something in it"),
    ("interaction.moved", "it was moved to another queue"),
    ("interaction.transfer-began", "somebody wants to hand it on"),
    ("interaction.transfer-failed", "nobody took it over: whoever has it keeps it"),
    ("interaction.scheduled", "it waits for the moment that it is meant for"),
    ("interaction.began", "that moment has come"),
    ("offer.made", "it is held out to an agent"),
    ("offer.ended", "an offer was accepted, declined, expired, was revoked, or came to nothing"),
    ("interaction.marked", "what statistics' filters find in it has changed"),
    ("interaction.statistics-read", "a condition read figures of the stat server"),
    ("callback.booked", "it was booked as a callback"),
    ("callback.rescheduled", "a callback was booked for another moment"),
    ("callback.attempted", "an attempt to call somebody back has ended"),
    ("endpoint.called", "an application outside is asked"),
    ("endpoint.answered", "an application outside answered, or did not"),
    ("strategy.called", "a strategy is asked"),
    ("strategy.answered", "a strategy decided"),
    ("strategy.failed", "a strategy gave no decision"),
];

/// Whether a webhook can ask for this.
pub(crate) fn is_known(topic: &str) -> bool {
    topic == "*" || TOPICS.iter().any(|(known, _)| *known == topic)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::TOPICS;

    #[test]
    fn every_event_about_an_interaction_is_among_them() {
        let source = include_str!("event.rs");
        let names = source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
        let told: BTreeSet<&str> = names
            .filter(|n| {
                ["interaction.", "callback.", "endpoint.", "offer.", "strategy."].iter().any(|of| n.starts_with(of))
            })
            .collect();
        assert!(told.len() > 20, "{told:?}");
        let known: BTreeSet<&str> = TOPICS.iter().map(|(topic, _)| *topic).skip(3).collect();
        assert_eq!(told, known);
        assert_eq!(known.len(), TOPICS.len() - 3);
    }
}
