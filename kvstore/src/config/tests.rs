use niagara_engine::{Durability, Threads};

use super::*;
use crate::Failover;

const MINIMAL: &str = r#"
cluster = "c1"
server = 1
data_dir = "data"
http = "127.0.0.1:7000"
redis = "127.0.0.1:7001"

[[members]]
server = 1
addresses = ["127.0.0.1:7002", "127.0.0.1:7003"]
transfer = "127.0.0.1:7004"
"#;

fn parse(text: &str) -> Result<ConfigFile, ConfigFileError> {
    ConfigFile::parse(text, Path::new("/base"))
}

fn error_of(text: &str) -> String {
    parse(text).expect_err("the text is wrong").to_string()
}

fn plan() -> Plan {
    let servers = (1..=3)
        .map(|server| PlannedServer {
            server,
            http: format!("127.0.0.1:7{server}00"),
            redis: format!("127.0.0.1:7{server}01"),
            addresses: (2..6).map(|port| format!("127.0.0.1:7{server}0{port}")).collect(),
            transfer: format!("127.0.0.1:7{server}06"),
            tls: None,
        })
        .collect();
    Plan {
        cluster: 0xabc_0123,
        groups: 4,
        durability: Durability::Os,
        servers,
        protection: Protection::default(),
        joins: false,
    }
}

/// The generated file with its optional keys set: every line `# key = value` becomes `key = value`. The
/// tables of links stay commented out, since a file has none or one for each group.
fn with_optional_keys(text: &str) -> String {
    let (text, links) = text.split_once("# [[links]]").expect("the links come last");
    assert!(links.contains("bind_device"));
    let is_key = |rest: &str| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    text.lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_minimal_file_means_the_defaults() {
    let file = parse(MINIMAL).unwrap();
    let engine = &file.server.engine;
    let mut expected = Config::new(0xc1, 1, engine.members.clone());
    expected.notes = engine.notes.clone();
    expected.first_level = 1;
    expected.data_dir = "/base/data".into();
    assert_eq!(format!("{engine:?}"), format!("{expected:?}"));
    let front = &file.server.front;
    let members = vec![(1, "127.0.0.1:7001".parse().unwrap())];
    let expected = FrontEndConfig {
        http: "127.0.0.1:7000".parse().unwrap(),
        redis: "127.0.0.1:7001".parse().unwrap(),
        failover: Failover { members, ..Failover::default() },
        ..Default::default()
    };
    assert_eq!(format!("{front:?}"), format!("{expected:?}"));
    assert!(file.http.is_empty());
}

#[test]
fn a_generated_file_parses_back() {
    let file = parse(&plan().render(2)).unwrap();
    let engine = &file.server.engine;
    assert_eq!((engine.cluster, engine.server, engine.durability), (0xabc_0123, 2, Durability::Os));
    assert_eq!(engine.data_dir, Path::new("/base/data-2"));
    assert_eq!(engine.members[2].addresses[3], "127.0.0.1:7305");
    assert_eq!(engine.groups(), 4);
    assert_eq!(file.server.front.http, "127.0.0.1:7200".parse().unwrap());
    assert_eq!(file.server.front.redis, "127.0.0.1:7201".parse().unwrap());
    let http: Vec<_> = file.http.iter().map(|(server, http)| (*server, http.as_str())).collect();
    assert_eq!(http, [(1, "127.0.0.1:7100"), (2, "127.0.0.1:7200"), (3, "127.0.0.1:7300")]);
}

#[test]
fn clients_of_redis_are_told_where_all_servers_are() {
    let failover = |text: &str| parse(text).map(|file| file.server.front.failover);
    let told = |text: &str| {
        let members = failover(text).unwrap().members;
        members.iter().map(|(server, address)| format!("{server} {address}")).collect::<Vec<_>>()
    };
    let planned = plan().render(2);
    assert_eq!(told(&planned), ["1 127.0.0.1:7101", "2 127.0.0.1:7201", "3 127.0.0.1:7301"]);
    let earlier =
        planned.replace("redis = \"127.0.0.1:7101\"\n", "").replace("redis = \"127.0.0.1:7301\"\n", "");
    assert_eq!(told(&earlier), ["2 127.0.0.1:7201"], "files of earlier releases name no others");
    let one = |redis: &str, own: &str| {
        MINIMAL
            .replace("127.0.0.1:7001", redis)
            .replace("server = 1\naddresses", &format!("server = 1\n{own}addresses"))
    };
    for (redis, own, expected) in [
        ("0.0.0.0:7001", "redis = \"db-1:7001\"\n", vec!["1 db-1:7001"]),
        ("127.0.0.1:7001", "redis = \"127.0.0.1:7001\"\n", vec!["1 127.0.0.1:7001"]),
        ("0.0.0.0:7001", "", vec![]),
        ("127.0.0.1:0", "", vec![]),
    ] {
        assert_eq!(told(&one(redis, own)), expected, "{redis} {own}");
    }
    let wrong = error_of(&one("127.0.0.1:7001", "redis = \"db-1\"\n"));
    assert!(wrong.starts_with("`members[server 1].redis`: \"db-1\" is not a host:port"), "{wrong}");
}

#[test]
fn a_cluster_keeps_its_reads_strong_unless_told_otherwise() {
    for (front, cluster, weak) in [
        ("", false, true),
        ("redis_cluster = true", true, false),
        ("redis_cluster = true\nredis_readonly = \"weak\"", true, true),
        ("redis_readonly = \"strong\"", false, false),
    ] {
        let failover = parse(&format!("{MINIMAL}[front]\n{front}\n")).unwrap().server.front.failover;
        assert_eq!((failover.cluster, failover.weak_readonly), (cluster, weak), "{front}");
    }
    let named = |name: &str| parse(&format!("{MINIMAL}[front]\nredis_master_name = \"{name}\"\n"));
    assert_eq!(named("orders").unwrap().server.front.failover.master_name, "orders");
    for wrong in ["", "my master", "m\\u00e4ster"] {
        assert!(named(wrong).unwrap_err().to_string().contains("printable"), "{wrong}");
    }
}

/// `localhost` is 127.0.0.1 everywhere, and also ::1 on most machines.
#[test]
fn a_name_means_all_of_its_addresses() {
    let front = parse(&MINIMAL.replace("127.0.0.1:7001", "localhost:7001")).unwrap().server.front;
    let mut redis = front.redis_too;
    redis.insert(0, front.redis);
    let mut expected: Vec<_> = ("localhost", 7001).to_socket_addrs().unwrap().collect();
    expected.dedup();
    assert_eq!(redis, expected);
    assert!(redis.contains(&"127.0.0.1:7001".parse().unwrap()));
}

#[test]
fn leaderships_belong_where_the_file_says() {
    let with = |leaders: &str| {
        parse(&plan().render(1).replacen("[engine]\n", &format!("[engine]\nleaders = {leaders}\n"), 1))
    };
    assert_eq!(with("[3, 3, 3, 1]").unwrap().server.engine.leaders, [3, 3, 3, 1]);
    let few = with("[3, 3, 1]").unwrap_err().to_string();
    assert!(few.contains("leaders") && few.contains('4'), "{few}");
    let stranger = with("[3, 3, 9, 1]").unwrap_err().to_string();
    assert!(stranger.contains("server 9"), "{stranger}");
}

#[test]
fn every_documented_default_is_the_default_of_the_code() {
    let text = plan().render(1);
    let spelled_out = with_optional_keys(&text);
    let file: File = toml::from_str(&spelled_out).unwrap();
    // Nothing is left out of the documentation ...
    let EngineTable {
        known_level: Some(_),
        tick_ms: Some(_),
        heartbeat_ticks: Some(_),
        election_ticks: Some(_),
        window: Some(_),
        entry_kib: Some(_),
        lane_commands: Some(_),
        lane_mib: Some(_),
        deadline_ms: Some(_),
        segment_mib: Some(_),
        log_cache_mib: Some(_),
        send_queue_mib: Some(_),
        unsynced_mib: Some(_),
        merge_mib: Some(_),
        behind_mib: Some(_),
        disk_reserve_mib: Some(_),
        snapshot_entries: Some(_),
        snapshot_mib: Some(_),
        snapshot_write_mib_per_second: Some(_),
        snapshot_transfer_mib_per_second: Some(_),
        snapshot_pin_mib: Some(_),
        threads: Some(_),
        pinning: Some(_),
        leaders: Some(_),
    } = file.engine
    else {
        panic!("the generated file leaves out a key of [engine]: {spelled_out}");
    };
    let FrontTable {
        threads: Some(_),
        max_connections: Some(_),
        max_connections_per_address: Some(_),
        http_idle_seconds: Some(_),
        redis_idle_seconds: Some(_),
        tcp_keepalive_seconds: Some(_),
        shutdown_grace_seconds: Some(_),
        client_output_mib: Some(_),
        all_clients_mib: Some(_),
        subscriber_output_mib: Some(_),
        tracking_mib: Some(_),
        redis_cluster: Some(_),
        redis_readonly: Some(_),
        redis_master_name: Some(_),
        names: Some(_),
        origins: Some(_),
    } = file.front
    else {
        panic!("the generated file leaves out a key of [front]: {spelled_out}");
    };
    // ... and writing out the defaults changes nothing.
    assert_eq!(format!("{:?}", parse(&spelled_out).unwrap()), format!("{:?}", parse(&text).unwrap()));
}

#[test]
fn every_key_reaches_its_field_in_its_unit() {
    let text = format!(
        r#"{MINIMAL}
[engine]
known_level = 1
tick_ms = 20
heartbeat_ticks = 3
election_ticks = 16
window = 7
entry_kib = 8
lane_commands = 9
lane_mib = 40
deadline_ms = 1500
segment_mib = 2
log_cache_mib = 3
send_queue_mib = 5
unsynced_mib = 6
merge_mib = 7
behind_mib = 8
disk_reserve_mib = 9
threads = 2
pinning = [4, 6]

[front]
threads = 2
max_connections = 11

[[links]]
listen = "127.0.0.1:9000"
bind_address = "127.0.0.2"
bind_device = "lo"

[[links]]
"#
    );
    let file = parse(&text).unwrap();
    let engine = file.server.engine;
    assert_eq!((engine.first_level, engine.known_level), (1, 1));
    assert_eq!(engine.tick, Duration::from_millis(20));
    assert_eq!((engine.heartbeat_ticks, engine.election_ticks, engine.window), (3, 16, 7));
    assert_eq!((engine.entry_bytes, engine.lane_commands, engine.lane_bytes), (8 << 10, 9, 40 << 20));
    assert_eq!((engine.deadline, engine.segment_bytes), (Duration::from_millis(1500), 2 << 20));
    assert_eq!((engine.log_cache_bytes, engine.send_queue_bytes), (3 << 20, 5 << 20));
    assert_eq!((engine.unsynced_bytes, engine.merge_bytes), (6 << 20, 7 << 20));
    assert_eq!((engine.behind_bytes, engine.disk_reserve_bytes), (8 << 20, 9 << 20));
    assert_eq!((engine.threads, engine.pinning), (Threads::Count(2), Pinning::Cores(vec![4, 6])));
    assert_eq!((file.server.front.threads, file.server.front.max_connections), (2, 11));
    let mut link = Link::default();
    link.listen = Some("127.0.0.1:9000".parse().unwrap());
    link.bind_address = Some("127.0.0.2".parse().unwrap());
    link.bind_device = Some("lo".into());
    assert_eq!(engine.links, [link, Link::default()]);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest_known_one() {
    let text = error_of(&format!("{MINIMAL}\n[engine]\nelection_tick = 3\n"));
    assert!(text.contains("did you mean `election_ticks`?") && text.contains("line 14"), "{text}");
    let text = error_of(&MINIMAL.replace("addresses", "adresses"));
    assert!(text.contains("did you mean `addresses`?"), "{text}");
}

#[test]
fn values_that_cannot_work_say_what_to_write() {
    for (from, to, expected) in [
        ("\"c1\"", "\"\"", "`cluster`: \"\" is not an id of 1 to 32 hexadecimal digits"),
        ("\"c1\"", "\"+1\"", "`cluster`"),
        ("redis = \"127.0.0.1:7001\"", "redis = \"nowhere\"", "`redis`: \"nowhere\" is not a host:port"),
        ("data_dir", "durability = \"disk\"\ndata_dir", "write \"fsync\", \"os\" or \"memory\""),
        ("data_dir", "reads = \"fast\"\ndata_dir", "write \"quorum\" or \"lease\""),
        ("server = 1\ndata", "server = 9\ndata", "this server, 9, is not among the members"),
        (
            "[[members]]",
            "[engine]\npinning = \"on\"\n[[members]]",
            "\"auto\", \"off\" or a list of core numbers",
        ),
        (
            "[[members]]",
            "[engine]\npinning = [-1]\n[[members]]",
            "\"auto\", \"off\" or a list of core numbers",
        ),
        ("[[members]]", "[engine]\nthreads = 0\n[[members]]", "\"auto\" or a number of threads"),
        ("[[members]]", "[engine]\nthreads = \"all\"\n[[members]]", "\"auto\" or a number of threads"),
        ("[[members]]", "[engine]\ntick_ms = 0\n[[members]]", "tick must be at least 1 ms, but is 0 ms"),
        ("[[members]]", "[front]\nthreads = 0\n[[members]]", "`front.threads`: must be at least 1"),
        ("[[members]]", "[[links]]\nbind_address = \"eth0\"\n[[members]]", "`links.bind_address`"),
        ("http = \"127.0.0.1:7000\"", "", "missing field `http`"),
        ("server = 1\ndata", "server = -1\ndata", "invalid value"),
    ] {
        let text = error_of(&MINIMAL.replacen(from, to, 1));
        assert!(text.contains(expected), "{to}: {text}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = ConfigFile::read("/nonexistent/server-1.toml").expect_err("there is no such file");
    assert!(error.to_string().contains("/nonexistent/server-1.toml"), "{error}");
}

#[test]
fn two_listeners_at_one_address_are_refused() {
    let other = "\n[[members]]\nserver = 2\nhttp = \"10.0.0.2:7000\"\naddresses = [\"10.0.0.2:7002\", \"10.0.0.2:7003\"]\ntransfer = \"10.0.0.2:7004\"\n";
    let file = format!("{MINIMAL}{other}");
    parse(&file).unwrap();
    let everywhere =
        |file: &str| file.replace("127.0.0.1:7000", "0.0.0.0:7000").replace("10.0.0.2:7000", "0.0.0.0:7000");
    let found = parse(&everywhere(&file)).unwrap().server.front.members;
    assert!(found.is_empty(), "nobody is found at {found:?}");
    for (from, to, key, holder) in [
        ("redis = \"127.0.0.1:7001\"", "redis = \"127.0.0.1:7000\"", "redis", "http"),
        ("redis = \"127.0.0.1:7001\"", "redis = \"0.0.0.0:7000\"", "redis", "http"),
        ("redis = \"127.0.0.1:7001\"", "redis = \"[::]:7000\"", "redis", "http"),
        ("redis = \"127.0.0.1:7001\"", "redis = \"localhost:7000\"", "redis", "http"),
        ("http = \"127.0.0.1:7000\"", "http = \"0.0.0.0:7003\"", "members[server 1].addresses[2]", "http"),
        (
            "transfer = \"127.0.0.1:7004\"",
            "transfer = \"127.0.0.1:7001\"",
            "members[server 1].transfer",
            "redis",
        ),
        (
            "\"127.0.0.1:7003\"]",
            "\"127.0.0.1:7002\"]",
            "members[server 1].addresses[2]",
            "members[server 1].addresses[1]",
        ),
        (
            "\"127.0.0.1:7003\"]",
            "\"10.0.0.2:7004\"]",
            "members[server 2].transfer",
            "members[server 1].addresses[2]",
        ),
        ("\"10.0.0.2:7003\"]", "\"127.0.0.1:7001\"]", "members[server 2].addresses[2]", "redis"),
        ("http = \"10.0.0.2:7000\"", "http = \"127.0.0.1:7000\"", "members[server 2].http", "http"),
        ("http = \"10.0.0.2:7000\"", "redis = \"127.0.0.1:7001\"", "members[server 2].redis", "redis"),
        (
            "http = \"10.0.0.2:7000\"",
            "redis = \"10.0.0.2:7004\"",
            "members[server 2].redis",
            "members[server 2].transfer",
        ),
        (
            "\"10.0.0.2:7002\", \"10.0.0.2:7003\"",
            "\"db:7002\", \"DB:7002\"",
            "members[server 2].addresses[2]",
            "members[server 2].addresses[1]",
        ),
    ] {
        let said = error_of(&file.replacen(from, to, 1));
        assert!(
            said.starts_with(&format!("`{key}`: ")) && said.contains(&format!("which `{holder}` has")),
            "{to}: {said}"
        );
    }
    let links = "\n[[links]]\nlisten = \"0.0.0.0:7001\"\n[[links]]\n";
    let said = error_of(&format!("{file}{links}"));
    assert!(said.starts_with("`links[1].listen`: ") && said.contains("which `redis` has"), "{said}");
}

#[test]
fn one_address_may_be_written_twice_and_port_0_is_never_taken() {
    let told = MINIMAL.replace("server = 1\naddresses", "server = 1\nhttp = \"127.0.0.1:7000\"\naddresses");
    assert_eq!(parse(&told).unwrap().server.front.members, [(1, "127.0.0.1:7000".to_owned())]);
    let any = MINIMAL.replace("7000", "0").replace("7001", "0").replace("7002", "0").replace("7003", "0");
    parse(&any).unwrap();
    // The address in the list may be that of another machine in front of this one.
    let links = "\n[[links]]\nlisten = \"0.0.0.0:8002\"\n[[links]]\nlisten = \"0.0.0.0:8003\"\n";
    parse(&format!("{MINIMAL}{links}")).unwrap();
}

#[test]
fn a_file_without_end_is_no_configuration() {
    let error = ConfigFile::read("/dev/zero").unwrap_err().to_string();
    assert!(error.contains("too long for a configuration file"), "{error}");
}

#[test]
fn groups_may_share_addresses() {
    let engine = parse(MINIMAL).unwrap().server.engine;
    assert_eq!(engine.groups(), 2, "one for each address, as earlier releases had it");
    let engine = parse(&format!("groups = 5\n{MINIMAL}")).unwrap().server.engine;
    assert_eq!((engine.groups(), engine.members[0].addresses.len()), (5, 2));
    for (groups, what) in [(0, "1 to 1024 groups"), (1025, "1 to 1024 groups"), (1, "none uses two")] {
        let said = error_of(&format!("groups = {groups}\n{MINIMAL}"));
        assert!(said.contains(what), "{said}");
    }
    let said = error_of(&MINIMAL.replace("[\"127.0.0.1:7002\", \"127.0.0.1:7003\"]", "[]"));
    assert!(said.contains("1 to 1024 groups"), "{said}");
}

#[test]
fn files_of_earlier_releases_call_addresses_groups() {
    let engine = parse(&MINIMAL.replace("addresses", "groups")).unwrap().server.engine;
    assert_eq!(engine.members[0].addresses, ["127.0.0.1:7002", "127.0.0.1:7003"]);
}

#[test]
fn who_may_use_a_server_is_in_its_file() {
    let access = parse(MINIMAL).unwrap().server.front.access;
    assert!(access.password.is_none() && !access.insecure, "only clients of its own machine");
    let text = format!(
        "requirepass = \"secret\"\ninsecure = true\n{MINIMAL}\n[front]\nnames = [\"db\"]\norigins = [\"https://app.example.org\"]\n"
    );
    let access = parse(&text).unwrap().server.front.access;
    assert!(access.insecure && access.password.is_some_and(|secret| secret.is(b"secret")));
    assert_eq!(
        (access.names, access.origins),
        (vec!["db".to_owned()], vec!["https://app.example.org".to_owned()])
    );
    assert!(access.rescue_password.is_none());
    let rescue = parse(&format!("rescue_password = \"help\"\n{MINIMAL}")).unwrap().server.front.access;
    assert!(rescue.password.is_none() && rescue.rescue_password.is_some_and(|secret| secret.is(b"help")));
    assert!(parse(&format!("requirepass = \"\"\n{MINIMAL}")).unwrap().server.front.access.password.is_none());
    for (line, said) in [
        ("requirepass = \"sha256:hunter2\"", "`requirepass`: write the SHA-256 digest"),
        ("rescue_password = \"sha256:hunter2\"", "`rescue_password`: write the SHA-256 digest"),
        ("rescue_password = hunter2", "rescue_password .."),
        ("requirepass = \"hunter2", "requirepass .."),
        ("requirepass = 2222", "a text was expected"),
        ("requirepas = \"hunter2\"", "did you mean `requirepass`?"),
        ("password = \"hunter2\"", "password .."),
        ("rescue_password = \"\"\"\nhunter2 \\z\n\"\"\"", " | .."),
        ("[front]\nnames = [\"http://db\"]", "`front.names`: \"http://db\" is not a host's name"),
        ("[front]\nnames = [\"*\"]", "`front.names`"),
        ("[front]\norigins = [\"*\"]", "`front.origins`: \"*\" is not an origin"),
    ] {
        let text =
            if line.starts_with('[') { format!("{MINIMAL}\n{line}") } else { format!("{line}\n{MINIMAL}") };
        let error = error_of(&text);
        assert!(error.contains(said) && !error.contains("hunter2") && !error.contains("2222"), "{error}");
    }
}

#[test]
fn a_generated_file_holds_the_digest_of_its_password() {
    let password: Option<crate::Secret> = Some("secret".parse().unwrap());
    let protection = Protection { password: password.clone(), insecure: true };
    let text = Plan { protection, ..plan() }.render(1);
    assert!(!text.contains("\"secret\""));
    let access = parse(&text).unwrap().server.front.access;
    assert_eq!((access.password, access.insecure), (password, true));
}

/// Clients of Sentinel and Cluster are told a port that is open.
#[test]
fn a_cluster_with_tls_tells_clients_of_redis_the_port_for_it() {
    let mut plan = plan();
    for server in &mut plan.servers {
        let number = server.server;
        server.tls = Some(PlannedTls {
            http: format!("127.0.0.1:7{number}43"),
            redis: format!("127.0.0.1:7{number}44"),
        });
    }
    let front = parse(&plan.render(2)).unwrap().server.front;
    let told: Vec<String> =
        front.failover.members.iter().map(|(_, at)| format!("{}:{}", at.host, at.port)).collect();
    assert_eq!(told, ["127.0.0.1:7144", "127.0.0.1:7244", "127.0.0.1:7344"]);
}
