//! The log's metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use super::lines_lost;

/// Adds the number of lines that standard error did not take to a server's metrics.
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(LogCollector));
}

#[derive(Debug)]
struct LogCollector;

impl Collector for LogCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let lost = ConstCounter::new(lines_lost());
        let help = "Lines of this process's log that were dropped because standard error did not take them";
        let encoder = encoder.encode_descriptor("niagara_log_lines_lost", help, None, lost.metric_type())?;
        lost.encode(encoder)
    }
}
