//! Converts the registry's OpenMetrics text to Prometheus' text format, version 0.0.4.

/// Converts a page of metrics.
///
/// Both formats have the same samples; the announcements before them differ. In the text format, a counter's
/// family is named like its samples, with `_total`, an info is a gauge, an unknown is untyped, and there are
/// no units. The last line, `# EOF`, is a comment there, and distinguishes a complete page from one that was
/// cut.
pub(super) fn prometheus_text(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help: Option<(&str, &str)> = None;
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), text) => help = Some((name, text.unwrap_or_default())),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    _ => ("", kind),
                };
                if let Some((_, text)) = help.take().filter(|(of, _)| *of == name) {
                    out.extend(["# HELP ", name, suffix, " ", &text.replace("\\\"", "\""), "\n"]);
                }
                out.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
            }
            (Some("#"), Some("UNIT"), ..) => {}
            _ => out.extend([line, "\n"]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_announced_by_the_names_of_their_samples() {
        let open_metrics = "# HELP a_seconds Time \\\"spent\\\".\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1.5\n\
                            # HELP b_build What it is.\n# TYPE b_build info\nb_build_info{version=\"1 2\"} 1\n\
                            # HELP c Now.\n# TYPE c gauge\nc{x=\"y\"} -1\n# HELP d_seconds Times.\n# TYPE d_seconds histogram\n\
                            # UNIT d_seconds seconds\nd_seconds_sum 1.0\nd_seconds_count 2\nd_seconds_bucket{le=\"+Inf\"} 2\n\
                            # TYPE e unknown\ne 0\n# EOF\n";
        let text = "# HELP a_seconds_total Time \"spent\".\n# TYPE a_seconds_total counter\na_seconds_total 1.5\n\
                    # HELP b_build_info What it is.\n# TYPE b_build_info gauge\nb_build_info{version=\"1 2\"} 1\n\
                    # HELP c Now.\n# TYPE c gauge\nc{x=\"y\"} -1\n# HELP d_seconds Times.\n# TYPE d_seconds histogram\n\
                    d_seconds_sum 1.0\nd_seconds_count 2\nd_seconds_bucket{le=\"+Inf\"} 2\n\
                    # TYPE e untyped\ne 0\n# EOF\n";
        assert_eq!(prometheus_text(open_metrics), text);
    }
}
