//! What a server counts, from `/metrics`: Prometheus' text format, as much of it as the tests need.

use crate::Http;

/// One reading of a server's metrics.
pub struct Metrics(String);

impl Metrics {
    /// Reads a server's metrics.
    ///
    /// # Panics
    /// When it gives none.
    pub fn read(http: &mut Http) -> Metrics {
        let answer = http.request("GET", "/metrics", &[], b"").expect("a running server gives its metrics");
        assert_eq!(answer.status, 200, "GET /metrics: {}", answer.text());
        Metrics(answer.text())
    }

    /// The sum of a metric over all of its labels.
    ///
    /// # Panics
    /// When there is no such metric: a check of a name that has changed must not pass.
    ///
    /// ```
    /// use niagara_tests::metrics::Metrics;
    ///
    /// let text = "# HELP x_total X.\nx_total{group=\"1\"} 2\nx_total{group=\"2\"} 40\nx_total_more 1\n";
    /// assert_eq!(Metrics::from(text.to_owned()).sum("x_total"), 42.0);
    /// ```
    pub fn sum(&self, name: &str) -> f64 {
        let rests = self.0.lines().filter_map(|line| line.strip_prefix(name));
        let values = rests.filter(|rest| rest.starts_with(['{', ' '])).map(|rest| {
            let value = rest.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
            value.unwrap_or_else(|| panic!("{name}{rest} has no value"))
        });
        let values: Vec<f64> = values.collect();
        assert!(!values.is_empty(), "there is no metric {name} in\n{}", self.0);
        values.iter().sum()
    }

    /// The buckets of a histogram without labels: upper bounds, and how many observations were at or below each.
    ///
    /// ```
    /// use niagara_tests::metrics::Metrics;
    ///
    /// let text = "x_bucket{le=\"0.5\"} 2\nx_bucket{le=\"+Inf\"} 3\nx_count 3\n";
    /// assert_eq!(Metrics::from(text.to_owned()).buckets("x"), [(0.5, 2), (f64::INFINITY, 3)]);
    /// ```
    pub fn buckets(&self, name: &str) -> Vec<(f64, u64)> {
        let prefix = format!("{name}_bucket{{le=\"");
        let rests = self.0.lines().filter_map(|line| line.strip_prefix(&prefix));
        let parsed = rests.filter_map(|rest| {
            let (bound, count) = rest.split_once("\"} ")?;
            Some((bound.parse().ok()?, count.parse().ok()?))
        });
        parsed.collect()
    }
}

impl From<String> for Metrics {
    fn from(text: String) -> Metrics {
        Metrics(text)
    }
}
