//! The server's own figures and the names by which they are asked for.

use signalbox_engine::{FigureName, Name, OWN, UnixMillis};

use super::super::{Departures, REFERENCE, Stats, entry};

#[test]
fn every_name_that_a_condition_may_ask_for_is_known_and_described() {
    let stats = Stats::default();
    let it = Name::new("it").unwrap();
    {
        let mut figures = stats.figures();
        entry(&mut figures.queues, &it);
        entry(&mut figures.workflows, &it);
        entry(&mut figures.media_types, &it);
        entry(&mut figures.deployments, &it);
        figures.departed(&it, UnixMillis(0));
        assert!(matches!(figures.departures.get(&it), Some(Departures { most: 0, .. })));
    }
    for (kind, statistics) in OWN {
        for statistic in statistics {
            let figure = FigureName { statistic: Name::new(statistic).unwrap(), object: Some((kind, it.clone())) };
            assert!(stats.read(&figure, UnixMillis(0)).is_some(), "{figure}");
            let row = REFERENCE
                .lines()
                .find(|line| line.contains(&format!("`{}`", kind.name())) && line.contains(&format!("`{statistic}`")));
            assert!(row.is_some(), "{figure}");
        }
    }
}
