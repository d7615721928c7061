//! All defined statistics of one account, folded from what was observed of its records.
//!
//! Pure: no thread, lock or clock. Definitions are found by their objects, so that a fact touches only those that it
//! concerns. How agents stand is kept here; how interactions stand is not stored, but counted from the account on load.
//!
//! Invariant: every figure equals a recount from the records since its definition, and a checkpoint with what was observed
//! after it gives the same figures.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use signalbox_engine::{
    AgentStand, AgentState, Aggregate, Fact, Happening, InteractionId, Mark, Measure, Move, Name, ObjectKind, Observed,
    Profile, Sequence, Standing, StatObject, StateKind, Statistic, Subject, UnixMillis,
};

use super::definition::{
    ABANDONED_LATER, ACTIVE_MS, ANSWERED_LATER, ANSWERED_WITHIN, ARRIVED, HANDLE_MS, READY_MS, WORKED, amounts,
    counts_agent, counts_state, is_of_place, passes, total,
};
use super::series::{Series, Total};

/// A statistic's value at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Figure {
    /// The statistic.
    #[schema(value_type = String)]
    pub name: Name,
    /// The value; none where there is nothing to make one of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Of a distribution: how many in each bucket, the last for what is longer than every bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Vec<Bucket>>,
    /// `number`, `seconds`, `percent` or `erlangs`.
    pub unit: &'static str,
    /// From when on it counts; none of how things stand now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub since_ms: Option<UnixMillis>,
    /// The moment that it is of.
    #[schema(value_type = u64)]
    pub at_ms: UnixMillis,
}

/// How many times were at most as long as a bound, and longer than the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Bucket {
    /// The bound; none in the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to_ms: Option<u64>,
    /// How many.
    pub count: u64,
}

/// All statistics of one account.
#[derive(Debug, Default)]
pub(super) struct Fold {
    definitions: Vec<Option<Definition>>,
    free: Vec<usize>,
    by_name: BTreeMap<Name, usize>,
    objects: Objects,
    agents: BTreeMap<Name, AgentStand>,
    /// What agents have in hand.
    held: BTreeMap<Name, BTreeMap<InteractionId, Held>>,
    /// The same, as far as a census has come.
    held_in_census: BTreeMap<Name, BTreeMap<InteractionId, Held>>,
    /// Members of the agent groups and the place groups that statistics are about.
    groups: BTreeMap<(ObjectKind, Name), BTreeSet<Name>>,
    /// The same, the other way round: the agent groups of an agent, the place groups of a place.
    groups_of: BTreeMap<(ObjectKind, Name), BTreeSet<Name>>,
    /// Until where it has folded.
    sequence: Sequence,
}

#[derive(Debug)]
struct Definition {
    statistic: Arc<Statistic>,
    marks: Vec<Mark>,
    series: Option<Series>,
    /// Whether it counts how interactions stand now; of agents and their groups, `held` is counted.
    counts: bool,
    /// How they stand; none until the first census after its definition.
    standing: Option<Count>,
    /// The same, as far as a census has come.
    in_census: Option<Count>,
}

/// Interactions that stand, and since when.
#[derive(Debug, Default)]
struct Count {
    count: u64,
    since_sum: u128,
    /// How many since each moment, where the longest or the shortest is asked for.
    since: Option<BTreeMap<UnixMillis, u32>>,
}

/// An interaction that an agent has in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    state: StateKind,
    since: UnixMillis,
    subject: Subject,
}

/// Definitions by object. Where there is none, nothing is looked at.
#[derive(Debug, Default)]
struct Objects {
    account: Slot,
    named: BTreeMap<ObjectKind, BTreeMap<Name, Slot>>,
    elements: BTreeMap<Name, BTreeMap<Name, Slot>>,
}

/// The definitions of one object, by what touches them.
#[derive(Debug, Default)]
struct Slot {
    happenings: BTreeMap<Happening, Vec<usize>>,
    agents: Vec<usize>,
    standing: Vec<usize>,
    since_login: Vec<usize>,
}

/// All that cannot be counted from the account, at one moment.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    sequence: Sequence,
    agents: Vec<(Name, AgentStand)>,
    groups: Vec<(ObjectKind, Name, BTreeSet<Name>)>,
    /// Name, definition as JSON, and what was added up.
    series: Vec<(Name, String, Option<Series>)>,
}

impl Objects {
    fn slot(&mut self, object: &StatObject) -> &mut Slot {
        match (&object.name, &object.workflow) {
            (Some(element), Some(workflow)) => {
                self.elements.entry(workflow.clone()).or_default().entry(element.clone()).or_default()
            }
            (Some(name), None) => self.named.entry(object.kind).or_default().entry(name.clone()).or_default(),
            _ => &mut self.account,
        }
    }

    fn drop_slot(&mut self, object: &StatObject) {
        let Some(name) = &object.name else { return };
        match &object.workflow {
            Some(workflow) => {
                if let Some(elements) = self.elements.get_mut(workflow) {
                    elements.remove(name);
                }
                self.elements.retain(|_, elements| !elements.is_empty());
            }
            None => {
                if let Some(named) = self.named.get_mut(&object.kind) {
                    named.remove(name);
                }
                self.named.retain(|_, named| !named.is_empty());
            }
        }
    }

    fn get(&self, kind: ObjectKind, name: &Name) -> Option<&Slot> {
        self.named.get(&kind)?.get(name)
    }

    /// Those that a subject concerns.
    fn of<'a>(
        &'a self,
        subject: &'a Subject,
        groups_of: &'a BTreeMap<(ObjectKind, Name), BTreeSet<Name>>,
    ) -> impl Iterator<Item = &'a Slot> {
        let named = [
            (ObjectKind::MediaType, Some(&subject.media_type)),
            (ObjectKind::Queue, subject.queue.as_ref()),
            (ObjectKind::Strategy, subject.deployment.as_ref()),
        ];
        let named = named.into_iter().filter_map(|(kind, name)| self.get(kind, name?));
        std::iter::once(&self.account).chain(named).chain(self.of_frames(&subject.frames)).chain(self.of_agent(
            subject.agent.as_ref(),
            subject.place.as_ref(),
            groups_of,
        ))
    }

    /// The workflows, each once however often it is nested, and the innermost element.
    fn of_frames<'a>(&'a self, frames: &'a [(Name, Name)]) -> impl Iterator<Item = &'a Slot> {
        let workflows = frames.iter().enumerate().filter_map(|(i, (workflow, _))| {
            let again = frames[..i].iter().any(|(outer, _)| outer == workflow);
            if again { None } else { self.get(ObjectKind::Workflow, workflow) }
        });
        let element = frames.last().and_then(|(workflow, element)| self.elements.get(workflow)?.get(element));
        workflows.chain(element)
    }

    /// An agent and where it sits, and their groups.
    fn of_agent<'a>(
        &'a self,
        agent: Option<&'a Name>,
        place: Option<&'a Name>,
        groups_of: &'a BTreeMap<(ObjectKind, Name), BTreeSet<Name>>,
    ) -> impl Iterator<Item = &'a Slot> {
        let both =
            [(ObjectKind::Agent, ObjectKind::AgentGroup, agent), (ObjectKind::Place, ObjectKind::PlaceGroup, place)];
        both.into_iter().filter_map(|(kind, group, name)| Some((kind, group, name?))).flat_map(
            move |(kind, group, name)| {
                let groups = if self.named.contains_key(&group) { groups_of.get(&(kind, name.clone())) } else { None };
                let groups = groups.into_iter().flatten().filter_map(move |name| self.get(group, name));
                self.get(kind, name).into_iter().chain(groups)
            },
        )
    }
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.happenings.is_empty() && self.agents.is_empty() && self.standing.is_empty() && self.since_login.is_empty()
    }

    fn change(&mut self, statistic: &Statistic, change: impl Fn(&mut Vec<usize>)) {
        let measure = &statistic.measure;
        for what in statistic.happenings() {
            change(self.happenings.entry(*what).or_default());
        }
        if matches!(measure, Measure::AgentTime { .. } | Measure::Occupancy) {
            change(&mut self.agents);
        }
        if measure.counts_standing() {
            change(&mut self.standing);
        }
        if statistic.profile == Some(Profile::SinceLogin) {
            change(&mut self.since_login);
        }
    }
}

impl Count {
    fn add(&mut self, since: UnixMillis) {
        self.count += 1;
        self.since_sum += u128::from(since.0);
        if let Some(all) = &mut self.since {
            *all.entry(since).or_default() += 1;
        }
    }

    fn take(&mut self, since: UnixMillis) {
        // What came before the definition and was not counted cannot be taken away.
        debug_assert!(self.count > 0, "what is taken away was counted");
        self.count = self.count.saturating_sub(1);
        self.since_sum = self.since_sum.saturating_sub(u128::from(since.0));
        if let Some(all) = &mut self.since
            && let Some(count) = all.get_mut(&since)
        {
            *count -= 1;
            if *count == 0 {
                all.remove(&since);
            }
        }
    }
}

impl Definition {
    fn new(statistic: Arc<Statistic>, now: UnixMillis) -> Self {
        let measure = &statistic.measure;
        let series = total(measure).map(|empty| Series::new(statistic.profile.as_ref(), empty, now));
        let mut marks: Vec<Mark> = statistic.filter.marks().collect();
        marks.sort_unstable();
        let of_agents = statistic.object.kind.has_agents() && statistic.object.kind != ObjectKind::Account;
        let counts = measure.counts_standing() && !of_agents;
        Self { statistic, marks, series, counts, standing: None, in_census: None }
    }

    /// Nothing counted yet.
    fn count(&self) -> Option<Count> {
        let measure = &self.statistic.measure;
        let extremes = matches!(measure, Measure::InteractionsNowTime { value: Aggregate::Min | Aggregate::Max, .. });
        self.counts.then(|| Count { since: extremes.then(BTreeMap::new), ..Count::default() })
    }

    fn passes(&self, subject: &Subject) -> bool {
        passes(self.statistic.filter.media_type.as_ref(), &self.marks, subject)
    }
}

/// Folding.
impl Fold {
    /// Until where it has folded.
    pub(super) fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The names of all that are defined.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.by_name.keys()
    }

    /// The names that come after one, in order.
    pub(super) fn names_after(&self, after: Option<&str>) -> impl Iterator<Item = &Name> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name.range::<str, _>((from, Bound::Unbounded)).map(|(name, _)| name)
    }

    /// Whether what is defined is what these facts define.
    pub(super) fn defines(&self, facts: &[(UnixMillis, Fact)]) -> bool {
        let defined = facts.iter().filter_map(|(_, fact)| match fact {
            Fact::Defined(statistic) => Some(statistic),
            _ => None,
        });
        let mut count = 0;
        defined.inspect(|_| count += 1).all(|statistic| self.statistic(statistic.name.as_str()) == Some(statistic))
            && count == self.by_name.len()
    }

    /// A statistic's definition.
    pub(super) fn statistic(&self, name: &str) -> Option<&Arc<Statistic>> {
        self.definition(name).map(|definition| &definition.statistic)
    }

    fn definition(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(*self.by_name.get(name)?)?.as_ref()
    }

    /// Folds what was observed, up to a record.
    ///
    /// Where a definition counts interactions as they stand, it has no figure until all of them are counted.
    #[cfg(test)]
    pub(super) fn fold(&mut self, sequence: Sequence, observed: &Observed) {
        self.facts(&observed.subjects, &observed.facts);
        self.moved(observed);
        self.folded(sequence);
    }

    /// Everything until a record is folded.
    pub(super) fn folded(&mut self, sequence: Sequence) {
        self.sequence = sequence;
    }

    /// Folds facts.
    pub(super) fn facts(&mut self, subjects: &[Subject], facts: &[(UnixMillis, Fact)]) {
        for (at, fact) in facts {
            match fact {
                Fact::Happened { subject, what, ms, outcome } => {
                    if let Some(subject) = subjects.get(*subject as usize) {
                        self.happened(*at, subject, *what, *ms, outcome.as_deref());
                    }
                }
                Fact::Agent { agent, stand } => self.agent(*at, agent, stand.clone()),
                Fact::Members { kind, group, members } => self.members(*kind, group, members.clone()),
                Fact::Member { group, agent, is } => self.member(group, agent, *is),
                Fact::Defined(statistic) => {
                    self.undefine(&statistic.name);
                    self.define(Definition::new(Arc::clone(statistic), *at));
                }
                Fact::Undefined(name) => {
                    self.undefine(name);
                    if self.by_name.is_empty() {
                        // From now on nothing is observed: what is known grows old.
                        *self = Self { sequence: self.sequence, ..Self::default() };
                    }
                }
            }
        }
    }

    /// Begins to count anew how interactions stand. Until the end of it, figures are those of before.
    pub(super) fn begin_census(&mut self) {
        self.held_in_census.clear();
        for definition in self.definitions.iter_mut().flatten() {
            definition.in_census = definition.count();
        }
    }

    /// Counts a part of all interactions.
    pub(super) fn counted(&mut self, part: &Observed) {
        self.each_move(part, true);
    }

    /// All interactions are counted.
    pub(super) fn end_census(&mut self) {
        self.held = std::mem::take(&mut self.held_in_census);
        for definition in self.definitions.iter_mut().flatten() {
            definition.standing = definition.in_census.take();
        }
    }

    /// Counts how interactions have come to stand.
    pub(super) fn moved(&mut self, observed: &Observed) {
        self.each_move(observed, false);
    }

    fn each_move(&mut self, observed: &Observed, census: bool) {
        for Move { id, from, to } in &observed.moves {
            for (standing, comes) in [(from, false), (to, true)] {
                if let Some(standing) = standing
                    && let Some(subject) = observed.subjects.get(standing.subject as usize)
                {
                    self.stands(*id, subject, standing, comes, census);
                }
            }
        }
    }

    fn stands(&mut self, id: InteractionId, subject: &Subject, standing: &Standing, comes: bool, census: bool) {
        let Standing { state, since, .. } = *standing;
        if let Some(agent) = &subject.agent {
            let held = if census { &mut self.held_in_census } else { &mut self.held };
            if comes {
                let one = Held { state, since, subject: subject.clone() };
                held.entry(agent.clone()).or_default().insert(id, one);
            } else if let Some(all) = held.get_mut(agent) {
                all.remove(&id);
                if all.is_empty() {
                    held.remove(agent);
                }
            }
        }
        for slot in self.objects.of(subject, &self.groups_of) {
            for at in &slot.standing {
                let Some(definition) = self.definitions.get_mut(*at).and_then(Option::as_mut) else { continue };
                if !counts_state(&definition.statistic.measure, state) || !definition.passes(subject) {
                    continue;
                }
                let count = if census { &mut definition.in_census } else { &mut definition.standing };
                match count {
                    Some(count) if comes => count.add(since),
                    Some(count) => count.take(since),
                    None => {}
                }
            }
        }
    }

    fn happened(&mut self, at: UnixMillis, subject: &Subject, what: Happening, ms: Option<u64>, outcome: Option<&str>) {
        let definitions = &mut self.definitions;
        let mut touch = |slot: &Slot| {
            for i in slot.happenings.get(&what).into_iter().flatten() {
                let Some(definition) = definitions.get_mut(*i).and_then(Option::as_mut) else { continue };
                if !definition.passes(subject) {
                    continue;
                }
                let measure = &definition.statistic.measure;
                if let Some(series) = &mut definition.series {
                    for (class, amount) in amounts(measure, what, ms, outcome).into_iter().flatten() {
                        series.add(at, class, amount);
                    }
                }
            }
        };
        if is_of_place(what) {
            touch(&self.objects.account);
            self.objects.get(ObjectKind::MediaType, &subject.media_type).into_iter().for_each(&mut touch);
            let innermost = subject.frames.len().saturating_sub(1);
            self.objects.of_frames(&subject.frames[innermost..]).for_each(touch);
        } else {
            self.objects.of(subject, &self.groups_of).for_each(touch);
        }
    }

    /// An agent stands otherwise, or the same with another load.
    fn agent(&mut self, at: UnixMillis, agent: &Name, stand: Option<AgentStand>) {
        if self.by_name.is_empty() {
            // Nothing will be observed of it from now on.
            return;
        }
        let before = self.agents.remove(agent);
        let place = |stand: &Option<AgentStand>| stand.as_ref().and_then(|stand| stand.place.clone());
        let login = |stand: &Option<AgentStand>| stand.as_ref().map(|stand| stand.logged_in_at);
        let same_login = login(&before) == login(&stand) && place(&before) == place(&stand);
        let same_state = |a: &AgentStand, b: &AgentStand| a.state == b.state && a.reason == b.reason;
        let same = same_login && before.as_ref().zip(stand.as_ref()).is_some_and(|(a, b)| same_state(a, b));
        if let (Some(before), false) = (&before, same) {
            self.stayed(at, agent, before, !same_login);
        }
        if let (Some(stand), false) = (&stand, same_login) {
            let slots = self.objects.of_agent(Some(agent), stand.place.as_ref(), &self.groups_of);
            for i in slots.flat_map(|slot| &slot.since_login) {
                if let Some(series) = self.definitions[*i].as_mut().and_then(|definition| definition.series.as_mut()) {
                    series.login(at);
                }
            }
        }
        if let Some(mut stand) = stand {
            if let (Some(before), true) = (&before, same) {
                stand.since = before.since;
            }
            self.agents.insert(agent.clone(), stand);
        }
    }

    /// An agent's stay in a state has ended, and with it perhaps its login.
    fn stayed(&mut self, at: UnixMillis, agent: &Name, before: &AgentStand, logged_out: bool) {
        let slots = std::iter::once(&self.objects.account).chain(self.objects.of_agent(
            Some(agent),
            before.place.as_ref(),
            &self.groups_of,
        ));
        for i in slots.flat_map(|slot| &slot.agents) {
            let Some(definition) = self.definitions[*i].as_mut() else { continue };
            let Some(series) = &mut definition.series else { continue };
            match &definition.statistic.measure {
                Measure::Occupancy => {
                    if let Some(class) = occupancy_class(before.state) {
                        series.add_stay(before.since, at, class);
                    }
                }
                Measure::AgentTime { state, reason, value } => {
                    if !counts_agent(*state, reason.as_ref(), before.state, before.reason.as_ref()) {
                        continue;
                    }
                    match (value, state) {
                        (Aggregate::Total, _) => series.add_stay(before.since, at, ACTIVE_MS),
                        (_, AgentState::LoggedIn) if !logged_out => {}
                        (_, AgentState::LoggedIn) => series.add(at, 0, at.0.saturating_sub(before.logged_in_at.0)),
                        _ => series.add(at, 0, at.0.saturating_sub(before.since.0)),
                    }
                }
                _ => {}
            }
        }
    }

    fn members(&mut self, kind: ObjectKind, group: &Name, members: BTreeSet<Name>) {
        let of = member_kind(kind);
        for member in self.groups.remove(&(kind, group.clone())).unwrap_or_default() {
            if let Some(groups) = self.groups_of.get_mut(&(of, member)) {
                groups.remove(group);
            }
        }
        for member in &members {
            self.groups_of.entry((of, member.clone())).or_default().insert(group.clone());
        }
        self.groups.insert((kind, group.clone()), members);
    }

    fn member(&mut self, group: &Name, agent: &Name, is: bool) {
        let members = self.groups.entry((ObjectKind::AgentGroup, group.clone())).or_default();
        let groups = self.groups_of.entry((ObjectKind::Agent, agent.clone())).or_default();
        if is {
            members.insert(agent.clone());
            groups.insert(group.clone());
        } else {
            members.remove(agent);
            groups.remove(group);
        }
    }

    fn define(&mut self, definition: Definition) {
        let statistic = Arc::clone(&definition.statistic);
        let at = self.free.pop().unwrap_or(self.definitions.len());
        if at == self.definitions.len() {
            self.definitions.push(None);
        }
        self.objects.slot(&statistic.object).change(&statistic, |all| all.push(at));
        self.by_name.insert(statistic.name.clone(), at);
        self.definitions[at] = Some(definition);
    }

    fn undefine(&mut self, name: &Name) {
        let Some(at) = self.by_name.remove(name) else { return };
        if let Some(definition) = self.definitions[at].take() {
            let statistic = definition.statistic;
            let slot = self.objects.slot(&statistic.object);
            slot.change(&statistic, |all| all.retain(|i| *i != at));
            slot.happenings.retain(|_, all| !all.is_empty());
            if slot.is_empty() {
                self.objects.drop_slot(&statistic.object);
            }
        }
        self.free.push(at);
    }
}

/// Checkpoints.
impl Fold {
    /// All that cannot be counted from the account.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        let series = self.by_name.iter().filter_map(|(name, at)| {
            let definition = self.definitions.get(*at)?.as_ref()?;
            Some((name.clone(), json(&definition.statistic), definition.series.clone()))
        });
        Checkpoint {
            sequence: self.sequence,
            agents: self.agents.iter().map(|(agent, stand)| (agent.clone(), stand.clone())).collect(),
            groups: self.groups.iter().map(|((kind, group), of)| (*kind, group.clone(), of.clone())).collect(),
            series: series.collect(),
        }
    }

    /// As it was at a checkpoint. How interactions stand is still to be counted.
    pub(super) fn restored(checkpoint: Checkpoint) -> Self {
        let mut fold = Self { sequence: checkpoint.sequence, ..Self::default() };
        fold.agents = checkpoint.agents.into_iter().collect();
        for (kind, group, members) in checkpoint.groups {
            fold.members(kind, &group, members);
        }
        for (_, definition, series) in checkpoint.series {
            // Written by this server: one that cannot be read is of a newer one, and begins when it is put again.
            if let Ok(statistic) = serde_json::from_str::<Statistic>(&definition) {
                let mut definition = Definition::new(Arc::new(statistic), UnixMillis(0));
                definition.series = series;
                fold.define(definition);
            }
        }
        fold
    }
}

fn json(statistic: &Statistic) -> String {
    serde_json::to_string(statistic).unwrap_or_else(|e| panic!("a definition can always be encoded: {e}"))
}

/// Reading.
impl Fold {
    /// A statistic at a moment; none where there is none of that name.
    pub(super) fn figure(&self, name: &str, now: UnixMillis) -> Option<Figure> {
        let definition = self.definition(name)?;
        let statistic = &definition.statistic;
        let since = definition.series.as_ref().map(|series| series.from(now));
        let (value, buckets) = match (&statistic.measure, &definition.series) {
            (Measure::Distribution { bounds_ms, .. }, Some(series)) => {
                (None, Some(buckets(bounds_ms, &series.read(now))))
            }
            (_, Some(series)) => (self.summed(definition, series, now), None),
            (_, None) => (self.current(definition, now), None),
        };
        let name = statistic.name.clone();
        Some(Figure { name, value, buckets, unit: statistic.measure.unit(), since_ms: since, at_ms: now })
    }

    /// How things stand now.
    fn current(&self, definition: &Definition, now: UnixMillis) -> Option<f64> {
        let object = &definition.statistic.object;
        match &definition.statistic.measure {
            Measure::InteractionsNow { .. } => Some(number(self.standing(definition, now)?.count)),
            Measure::InteractionsNowTime { value, .. } => aggregate(self.standing(definition, now)?, *value),
            Measure::AgentsNow { state, reason } => {
                let agents = self.agents_of(object);
                let wanted = agents.filter(|(_, a)| counts_agent(*state, reason.as_ref(), a.state, a.reason.as_ref()));
                Some(number(wanted.count() as u64))
            }
            Measure::AgentsNowTime { state, reason, value } => {
                let agents = self.agents_of(object);
                let wanted = agents.filter(|(_, a)| counts_agent(*state, reason.as_ref(), a.state, a.reason.as_ref()));
                let since = |a: &AgentStand| if *state == AgentState::LoggedIn { a.logged_in_at } else { a.since };
                let mut times = empty_times();
                wanted.for_each(|(_, agent)| add_time(&mut times, now.0.saturating_sub(since(agent).0)));
                aggregate(times, *value)
            }
            Measure::Load => {
                let (count, sum) = self
                    .agents_of(object)
                    .fold((0, 0), |(count, sum), (_, agent)| (count + 1, sum + u64::from(agent.load_percent)));
                (count > 0).then(|| number(sum) / number(count))
            }
            _ => None,
        }
    }

    /// The interactions that a definition counts now, as times in their state; none where they are not counted yet.
    fn standing(&self, definition: &Definition, now: UnixMillis) -> Option<super::series::Times> {
        let mut times = empty_times();
        match &definition.standing {
            None if definition.counts => return None,
            Some(Count { count, since_sum, since }) => {
                times.count = *count;
                let sum = (u128::from(now.0) * u128::from(*count)).saturating_sub(*since_sum);
                times.sum_ms = u64::try_from(sum).unwrap_or(u64::MAX);
                let longest = since.as_ref().and_then(BTreeMap::first_key_value);
                let shortest = since.as_ref().and_then(BTreeMap::last_key_value);
                times.max_ms = longest.map_or(0, |(since, _)| now.0.saturating_sub(since.0));
                times.min_ms = shortest.map_or(u64::MAX, |(since, _)| now.0.saturating_sub(since.0));
            }
            None => {
                for (agent, held) in self.held_of(&definition.statistic.object) {
                    debug_assert_eq!(held.subject.agent.as_ref(), Some(agent), "it is in that agent's hand");
                    if counts_state(&definition.statistic.measure, held.state) && definition.passes(&held.subject) {
                        add_time(&mut times, now.0.saturating_sub(held.since.0));
                    }
                }
            }
        }
        Some(times)
    }

    /// What the agents of an object have in hand. Of places, those who sit there now.
    fn held_of<'a>(&'a self, object: &'a StatObject) -> Box<dyn Iterator<Item = (&'a Name, &'a Held)> + 'a> {
        let group = object.name.as_ref().and_then(|name| self.groups.get(&(object.kind, name.clone())));
        let of = |agent| {
            self.held.get_key_value(agent).into_iter().flat_map(|(agent, all)| all.values().map(move |h| (agent, h)))
        };
        match (object.kind, &object.name) {
            (ObjectKind::Agent, Some(name)) => Box::new(of(name)),
            (ObjectKind::AgentGroup, _) => Box::new(group.into_iter().flatten().flat_map(of)),
            _ => Box::new(self.agents_of(object).flat_map(move |(agent, _)| of(agent))),
        }
    }

    /// The agents who are logged in and belong to an object.
    fn agents_of(&self, object: &StatObject) -> Box<dyn Iterator<Item = (&Name, &AgentStand)> + '_> {
        let Some(name) = object.name.clone() else { return Box::new(self.agents.iter()) };
        let group = self.groups.get(&(object.kind, name.clone()));
        match object.kind {
            ObjectKind::Agent => Box::new(self.agents.get_key_value(&name).into_iter()),
            ObjectKind::AgentGroup => {
                Box::new(group.into_iter().flatten().filter_map(|agent| self.agents.get_key_value(agent)))
            }
            ObjectKind::Place => Box::new(self.agents.iter().filter(move |(_, a)| a.place.as_ref() == Some(&name))),
            ObjectKind::PlaceGroup => Box::new(self.agents.iter().filter(move |(_, agent)| {
                agent.place.as_ref().zip(group).is_some_and(|(place, group)| group.contains(place))
            })),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// What was added up.
    fn summed(&self, definition: &Definition, series: &Series, now: UnixMillis) -> Option<f64> {
        let statistic = &definition.statistic;
        let sums = match series.read(now) {
            Total::Sums(sums) => sums,
            Total::Times(times) => {
                let value = match &statistic.measure {
                    Measure::Time { value, .. } | Measure::AgentTime { value, .. } => *value,
                    _ => Aggregate::Total,
                };
                return aggregate(times, value);
            }
            Total::Counts(_) => return None,
        };
        let from = series.from(now);
        let selects = matches!(statistic.profile, Some(Profile::Selection { .. }));
        let elapsed = number(now.0.saturating_sub(from.0)) / 1000.0;
        let share = |part: u64, whole: u64| (whole > 0).then(|| 100.0 * number(part) / number(whole));
        match &statistic.measure {
            Measure::Number { .. } => Some(number(sums[0])),
            Measure::ServiceFactor { .. } => {
                let good = sums[ANSWERED_WITHIN];
                share(good, good + sums[ANSWERED_LATER] + sums[ABANDONED_LATER])
            }
            Measure::EstimatedWait => {
                let waiting = self.standing(definition, now)?.count;
                match (waiting, sums[ARRIVED]) {
                    (0, _) => Some(0.0),
                    (_, 0) => None,
                    (waiting, left) => Some(number(waiting) * elapsed / number(left)),
                }
            }
            Measure::Traffic if sums[WORKED] > 0 && elapsed > 0.0 => {
                let handle = number(sums[HANDLE_MS]) / 1000.0 / number(sums[WORKED]);
                Some(number(sums[ARRIVED]) / elapsed * handle)
            }
            Measure::Occupancy => {
                let (mut active, mut ready) = (sums[ACTIVE_MS], sums[READY_MS]);
                for (_, agent) in self.agents_of(&statistic.object) {
                    let goes_on = now.0.saturating_sub(agent.since.max(from).0);
                    match occupancy_class(agent.state) {
                        Some(ACTIVE_MS) => active += goes_on,
                        Some(_) => ready += goes_on,
                        None => {}
                    }
                }
                share(active, active + ready)
            }
            Measure::AgentTime { state, reason, .. } => {
                let agents = self.agents_of(&statistic.object).filter(|_| !selects);
                let goes_on = agents
                    .filter(|(_, a)| counts_agent(*state, reason.as_ref(), a.state, a.reason.as_ref()))
                    .map(|(_, agent)| now.0.saturating_sub(agent.since.max(from).0));
                Some(number(sums[ACTIVE_MS] + goes_on.sum::<u64>()) / 1000.0)
            }
            _ => None,
        }
    }
}

fn member_kind(group: ObjectKind) -> ObjectKind {
    if group == ObjectKind::AgentGroup { ObjectKind::Agent } else { ObjectKind::Place }
}

fn occupancy_class(state: AgentState) -> Option<usize> {
    match state {
        AgentState::Busy | AgentState::WrapUp => Some(ACTIVE_MS),
        AgentState::Ready => Some(READY_MS),
        AgentState::NotReady | AgentState::LoggedIn => None,
    }
}

fn empty_times() -> super::series::Times {
    super::series::Times { count: 0, sum_ms: 0, min_ms: u64::MAX, max_ms: 0 }
}

fn add_time(times: &mut super::series::Times, ms: u64) {
    times.count += 1;
    times.sum_ms += ms;
    times.min_ms = times.min_ms.min(ms);
    times.max_ms = times.max_ms.max(ms);
}

/// In seconds.
fn aggregate(times: super::series::Times, value: Aggregate) -> Option<f64> {
    let some = times.count > 0;
    match value {
        Aggregate::Total => Some(number(times.sum_ms) / 1000.0),
        Aggregate::Average => some.then(|| number(times.sum_ms) / 1000.0 / number(times.count)),
        Aggregate::Min => some.then(|| number(times.min_ms) / 1000.0),
        Aggregate::Max => some.then(|| number(times.max_ms) / 1000.0),
    }
}

fn buckets(bounds_ms: &[u64], total: &Total) -> Vec<Bucket> {
    let Total::Counts(counts) = total else { return Vec::new() };
    let bounds = bounds_ms.iter().map(|bound| Some(*bound)).chain([None]);
    bounds.zip(counts.iter()).map(|(up_to_ms, count)| Bucket { up_to_ms, count: *count }).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds stay far below 2^53")]
fn number(n: u64) -> f64 {
    n as f64
}
