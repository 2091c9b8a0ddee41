//! A server's metrics for a registry, its own or the embedding program's.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};

use super::Metrics;
use super::described::{Described, OF_FOLLOWERS, OF_GROUPS, OF_SERVER};

/// The label of a group's number, from 1.
const GROUP: &str = "group";

/// The metrics of one or more engines, for the registry of your own program. A scrape reads them as they are
/// then, and after an engine has stopped, as they were.
///
/// [`Client::metrics`](crate::Client::metrics) makes one. You choose the prefix of the names and the labels:
///
/// ```
/// use niagara_engine::prometheus_client::encoding::text::encode;
/// use niagara_engine::prometheus_client::registry::Registry;
///
/// # let (a, b) = (niagara_engine::internals::example::engine(), niagara_engine::internals::example::engine());
/// // Two engines in one process.
/// let metrics = a.client().metrics(&[("node", "a")]).and(b.client().metrics(&[("node", "b")]));
///
/// let mut registry = Registry::default();
/// registry.sub_registry_with_prefix("shop_raft").register_collector(Box::new(metrics));
///
/// let mut page = String::new();
/// encode(&mut page, &registry)?;
/// assert!(page.contains("\nshop_raft_commands_applied_total{node=\"a\"} 0\n"));
/// assert!(page.contains("\nshop_raft_term{node=\"b\",group=\"1\"} "));
/// # Ok::<(), std::fmt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MetricsCollector {
    engines: Vec<(Labels, Arc<Metrics>)>,
}

type Labels = Vec<(String, String)>;

impl MetricsCollector {
    pub(crate) fn new(metrics: Arc<Metrics>, labels: &[(&str, &str)]) -> Self {
        for (name, _) in labels {
            assert!(
                is_label_name(name),
                "{name:?} is no name of a label: use letters, digits and underscores"
            );
            assert!(*name != GROUP, "the label \"group\" is taken: it holds the number of a Raft group");
        }
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        MetricsCollector { engines: vec![(labels, metrics)] }
    }

    /// These engines and others, in one collector, so that each metric is described once.
    ///
    /// # Panics
    ///
    /// If two engines have the same labels: nobody could tell their series apart.
    #[must_use]
    pub fn and(mut self, others: MetricsCollector) -> Self {
        for (labels, _) in &others.engines {
            let is_new = self.engines.iter().all(|(known, _)| known != labels);
            assert!(is_new, "two engines have the labels {labels:?}: give each a label of its own");
        }
        self.engines.extend(others.engines);
        self
    }
}

fn is_label_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
}

impl Collector for MetricsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for described in OF_GROUPS {
            let series = self.engines.iter().flat_map(|(labels, metrics)| {
                let running = metrics.running_groups.get() as usize;
                let groups = metrics.groups.iter().take(running).zip(1u16..);
                groups.map(|(group, number)| Series {
                    labels,
                    group: Some(number),
                    metric: (described.metric)(group),
                })
            });
            encode(&mut encoder, described, series)?;
        }
        for described in OF_FOLLOWERS {
            let series = self.engines.iter().filter_map(|(labels, metrics)| {
                let metric = (described.metric)(metrics.following.as_ref()?);
                Some(Series { labels, group: None, metric })
            });
            encode(&mut encoder, described, series)?;
        }
        for described in OF_SERVER {
            let series = self.engines.iter().map(|(labels, metrics)| Series {
                labels,
                group: None,
                metric: (described.metric)(metrics),
            });
            encode(&mut encoder, described, series)?;
        }
        Ok(())
    }
}

/// One engine's metric, or one group's.
struct Series<'m> {
    labels: &'m Labels,
    group: Option<u16>,
    metric: &'m dyn EncodeMetric,
}

/// Encodes one metric: its description, and all its series.
fn encode<'m, M>(
    encoder: &mut DescriptorEncoder<'_>,
    described: &Described<M>,
    series: impl Iterator<Item = Series<'m>>,
) -> fmt::Result {
    let series: Vec<_> = series.collect();
    let Some(first) = series.first() else { return Ok(()) };
    let help = format!("{}.", described.help);
    let unit = described.unit.as_ref();
    let mut metric = encoder.encode_descriptor(described.name, &help, unit, first.metric.metric_type())?;
    if let [Series { labels, group: None, metric: only }] = series[..]
        && labels.is_empty()
    {
        // Not a family: an empty set of labels would be written, as `{}`.
        return only.encode(metric);
    }
    for Series { labels, group, metric: one } in series {
        match group {
            Some(group) => one.encode(metric.encode_family(&(labels.as_slice(), [(GROUP, group)]))?)?,
            None => one.encode(metric.encode_family(labels)?)?,
        }
    }
    Ok(())
}
