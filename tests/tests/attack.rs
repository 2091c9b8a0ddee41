//! A short attack of strangers from outside: `--bin attack` does the same for as long as one likes, with many more of them.

use std::time::Duration;

use niagara_tests::attack::AttackPlan;

/// Speed is not asserted here: other tests run beside this one.
#[test]
fn a_customer_is_served_among_strangers() {
    let plan = AttackPlan {
        time: Duration::from_secs(6),
        idle: 300,
        slow_writers: 30,
        deaf_readers: 30,
        rubbish_per_second: 50,
        budget_mib: 16,
        rate: 20.0,
        elsewhere: false,
    };
    let report = plan.run(|_| {});
    println!("{report}");
    let faults: Vec<String> = report.faults_but_speed();
    assert!(faults.is_empty(), "{faults:#?}");
}
