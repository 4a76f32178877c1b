//! A URL that names several hosts, as libpq reads it, and settings of ours between the driver's.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

/// What a URL says: the driver's options for each host, and our settings by name.
pub(super) struct Parsed {
    pub(super) hosts: Vec<PgConnectOptions>,
    pub(super) settings: Vec<(String, String)>,
}

/// Our settings, which the driver must not see.
const SETTINGS: [&str; 10] = [
    "pool_size",
    "queue",
    "batch",
    "patience",
    "connect_timeout",
    "statement_timeout",
    "poll_interval",
    "pgbouncer",
    "read_only",
    "listen_url",
];

/// Why a URL cannot be used, in a sentence.
type Why = String;

pub(super) fn parse(url: &str) -> Result<Parsed, Why> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or("a URL begins with `postgres://`")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, names) = match authority.rsplit_once('@') {
        Some((user, names)) => (format!("{user}@"), names),
        None => (String::new(), authority),
    };
    let (mut settings, mut driver) = (Vec::new(), Vec::new());
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "host" => hosts = list(value),
            "port" => ports = list(value),
            // We always look for the server that takes writes.
            "target_session_attrs" if ["primary", "read-write"].contains(&value) => {}
            "target_session_attrs" => {
                return Err(format!(
                    "`target_session_attrs={value}` is not possible: a store needs the primary"
                ));
            }
            _ if SETTINGS.contains(&key) => settings.push((key.to_owned(), decoded(value)?)),
            _ => driver.push(pair.to_owned()),
        }
    }
    let names: Vec<_> = names.split(',').collect();
    if hosts.len() > 1 && names.len() > 1 {
        return Err("the hosts are listed twice: before the database, or in `host=`".to_owned());
    }
    let count = hosts.len().max(names.len());
    if ports.len() > 1 && ports.len() != count {
        let ports = ports.len();
        return Err(format!(
            "{count} hosts and {ports} ports: name one port, or one for each"
        ));
    }
    let one = |n: usize| {
        let mut query = driver.clone();
        let nth = |list: &[String]| list.get(n).or(list.first()).cloned();
        query.extend(nth(&hosts).map(|host| format!("host={host}")));
        query.extend(nth(&ports).map(|port| format!("port={port}")));
        let name = match names.get(n).or(names.first()) {
            // After a user there has to be a host, also if another one replaces it.
            Some(&"") | None if !user.is_empty() => "localhost",
            name => name.copied().unwrap_or_default(),
        };
        let url = format!("{scheme}://{user}{name}{path}?{}", query.join("&"));
        PgConnectOptions::from_str(&url).map_err(|error| error.to_string())
    };
    Ok(Parsed {
        hosts: (0..count).map(one).collect::<Result<_, Why>>()?,
        settings,
    })
}

/// The parts of a list, as they stand in the URL.
fn list(value: &str) -> Vec<String> {
    let value = value.replace("%2C", ",").replace("%2c", ",");
    value.split(',').map(str::to_owned).collect()
}

/// The text behind `%3A` and the like.
fn decoded(value: &str) -> Result<String, Why> {
    let wrong = || format!("`{value}` is not percent-encoded text");
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(Option::unwrap_or_default);
                hex::decode(digits).map_err(|_| wrong())?[0]
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// `30`, `30s` or `250ms`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (digits, unit): (_, fn(u64) -> Duration) = match text.strip_suffix("ms") {
        Some(digits) => (digits, Duration::from_millis),
        None => (text.strip_suffix('s').unwrap_or(text), Duration::from_secs),
    };
    digits.parse().ok().map(unit)
}

/// How people call a server.
pub(super) fn name(options: &PgConnectOptions) -> String {
    let port = options.get_port();
    match options.get_socket() {
        Some(folder) => format!("{}:{port}", folder.display()),
        None => format!("{}:{port}", options.get_host()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &[&str]) {
        let parsed = parse(url).unwrap();
        let names: Vec<_> = parsed.hosts.iter().map(name).collect();
        assert_eq!(names, expected);
        for host in parsed.hosts {
            assert_eq!(host.get_username(), "me");
            assert_eq!(host.get_database(), Some("db"));
        }
    }

    #[test]
    fn hosts_are_listed_as_libpq_lists_them() {
        check("postgres://me@one/db", &["one:5432"]);
        check("postgresql://me@one:1,two:2/db", &["one:1", "two:2"]);
        check("postgres://me:p%40s@one,two/db?port=7", &["one:7", "two:7"]);
        check("postgres://me@/db?host=/a,/b&port=1,2", &["/a:1", "/b:2"]);
        check(
            "postgres://me@x/db?host=%2Fa%2C%2Fb&port=1",
            &["/a:1", "/b:1"],
        );
        check(
            "postgres://me@[::1]:5,two:6/db?sslmode=disable",
            &["[::1]:5", "two:6"],
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (url, why) in [
            ("postgres://a,b/db?host=c,d", "listed twice"),
            ("postgres://a,b,c/db?port=1,2", "3 hosts and 2 ports"),
            ("postgres://a/db?port=x", "invalid digit"),
            (
                "postgres://a/db?target_session_attrs=standby",
                "needs the primary",
            ),
            ("postgres://a/db?listen_url=%zz", "percent-encoded"),
            ("nonsense", "begins with"),
        ] {
            let said = parse(url).err().unwrap();
            assert!(said.contains(why), "{url}: {said}");
        }
    }

    #[test]
    fn settings_are_ours_alone() {
        let url = "postgres://a/db?pool_size=3&application_name=x&listen_url=postgres%3A%2F%2Fb";
        let parsed = parse(url).unwrap();
        let (key, value) = &parsed.settings[1];
        assert_eq!(parsed.settings[0], ("pool_size".to_owned(), "3".to_owned()));
        assert_eq!((&**key, &**value), ("listen_url", "postgres://b"));
        assert_eq!(parsed.hosts[0].get_application_name(), Some("x"));
    }

    #[test]
    fn durations_are_seconds_unless_they_say_otherwise() {
        assert_eq!(duration("30"), Some(Duration::from_secs(30)));
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("fast"), None);
    }
}
