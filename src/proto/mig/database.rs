//! What MIG's database needs beside MIG's own schema: roles, what each may do, and who may come from where.
//!
//! No program of MIG speaks SCRAM, so passwords are stored as MD5 makes them, and `pg_hba.conf` says `md5`. Rights
//! are those of the schemas of each age, which a database that was moved or restored may lack. Tried with PostgreSQL
//! 15.

use std::fmt::Write as _;

use ipnet::IpNet;

/// Longest name that PostgreSQL keeps whole.
const NAME_LEN_MAX: usize = 63;

/// Which programs use the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// Those of 2015, without loaders and manifests.
    Of2015,
    /// Those of July 2017 to November 2018.
    Of2017,
    /// The last ones, whose API takes heartbeats.
    Of2019,
}

/// What somebody may do with a table, or with some of its columns, from an age on.
type Right = (Age, &'static str, &'static str, &'static str, &'static [&'static str]);

/// What everybody may know of an investigator: all but the private key.
const INVESTIGATOR: &[&str] = &["id", "name", "pgpfingerprint", "publickey", "status", "createdat", "lastmodified"];

/// Role, what it may do, the table, and the columns if not all.
const RIGHTS: &[Right] = &[
    (Age::Of2015, "migscheduler", "INSERT, UPDATE", "actions", &[]),
    (Age::Of2015, "migscheduler", "INSERT, UPDATE", "agents", &[]),
    (Age::Of2015, "migscheduler", "INSERT, UPDATE", "agents_stats", &[]),
    (Age::Of2015, "migscheduler", "INSERT, UPDATE", "commands", &[]),
    (Age::Of2015, "migscheduler", "INSERT, UPDATE", "signatures", &[]),
    (Age::Of2015, "migscheduler", "INSERT", "investigators", &[]),
    (Age::Of2015, "migapi", "SELECT, INSERT", "actions", &[]),
    (Age::Of2015, "migapi", "SELECT, INSERT", "signatures", &[]),
    (Age::Of2015, "migapi", "SELECT", "agents", &[]),
    (Age::Of2015, "migapi", "SELECT", "agents_stats", &[]),
    (Age::Of2015, "migapi", "SELECT", "agtmodreq", &[]),
    (Age::Of2015, "migapi", "SELECT", "commands", &[]),
    (Age::Of2015, "migapi", "SELECT", "invagtmodperm", &[]),
    (Age::Of2015, "migapi", "SELECT", "modules", &[]),
    (Age::Of2015, "migapi", "SELECT", "investigators", INVESTIGATOR),
    (Age::Of2015, "migapi", "INSERT", "investigators", INVESTIGATOR.split_at(1).1),
    (Age::Of2015, "migapi", "UPDATE", "investigators", &["status", "lastmodified"]),
    (Age::Of2015, "migreadonly", "SELECT", "actions", &[]),
    (Age::Of2015, "migreadonly", "SELECT", "agents", &[]),
    (Age::Of2015, "migreadonly", "SELECT", "agtmodreq", &[]),
    (Age::Of2015, "migreadonly", "SELECT", "commands", &[]),
    (Age::Of2015, "migreadonly", "SELECT", "invagtmodperm", &[]),
    (Age::Of2015, "migreadonly", "SELECT", "modules", &[]),
    (Age::Of2015, "migreadonly", "SELECT", "signatures", &[]),
    (Age::Of2015, "migreadonly", "SELECT", "investigators", INVESTIGATOR),
    (Age::Of2017, "migapi", "SELECT", "investigators", &["permissions", "apikey", "apisalt"]),
    (Age::Of2017, "migapi", "INSERT", "investigators", &["permissions"]),
    (Age::Of2017, "migapi", "UPDATE", "investigators", &["permissions", "apikey", "apisalt"]),
    (Age::Of2017, "migapi", "SELECT, INSERT", "manifests", &[]),
    (Age::Of2017, "migapi", "UPDATE", "manifests", &["status"]),
    (Age::Of2017, "migapi", "SELECT, INSERT, DELETE", "manifestsig", &[]),
    (Age::Of2017, "migapi", "SELECT, INSERT", "loaders", &[]),
    (
        Age::Of2017,
        "migapi",
        "UPDATE",
        "loaders",
        &["name", "env", "tags", "loaderkey", "salt", "lastseen", "enabled", "expectenv", "queueloc"],
    ),
    (Age::Of2017, "migreadonly", "SELECT", "loaders", &["id", "env", "tags", "expectenv", "loadername", "queueloc"]),
    (Age::Of2019, "migapi", "INSERT, UPDATE", "agents", &[]),
];

/// Numbers that are given out by the database, and to whom.
const SEQUENCES: &[(Age, &str, &str)] = &[
    (Age::Of2015, "migscheduler", "investigators_id_seq"),
    (Age::Of2015, "migapi", "investigators_id_seq"),
    (Age::Of2017, "migapi", "loaders_id_seq"),
    (Age::Of2017, "migapi", "manifests_id_seq"),
];

/// A script for `psql` that makes roles and database, to run before MIG's schema. Run again it sets the same
/// passwords and changes nothing else. An error says that the database cannot be called so.
pub fn roles(database: &str) -> Result<String, String> {
    check(database)?;
    let mut script = format!(
        "\
-- The roles of MIG and the database {database}. By a superuser, before MIG's own schema, and again at any time:
--     psql -X -f passwords.psql -f roles.sql postgres
-- passwords.psql, readable by nobody else, has two lines:
--     \\set migscheduler_password '...'
--     \\set migapi_password '...'
-- MIG's schema makes the role migreadonly, too, and is told that it is there; all else of it works.
\\set ON_ERROR_STOP on
BEGIN;
"
    );
    for role in ["migadmin", "migscheduler", "migapi", "migreadonly"] {
        let _ = writeln!(
            script,
            "SELECT 'CREATE ROLE {role}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec"
        );
    }
    script.push_str(
        "\
-- Owns the tables, and does not sign in. MIG's programs do not use it.
ALTER ROLE migadmin NOSUPERUSER NOCREATEROLE NOCREATEDB;
-- What investigators' targets are looked up by.
ALTER ROLE migreadonly NOSUPERUSER NOCREATEROLE NOCREATEDB INHERIT NOLOGIN;
-- No program of MIG speaks SCRAM.
SET LOCAL password_encryption = 'md5';
ALTER ROLE migscheduler NOSUPERUSER NOCREATEROLE NOCREATEDB INHERIT LOGIN PASSWORD :'migscheduler_password';
ALTER ROLE migapi NOSUPERUSER NOCREATEROLE NOCREATEDB INHERIT LOGIN PASSWORD :'migapi_password';
",
    );
    for role in ["migscheduler", "migapi"] {
        let _ = writeln!(
            script,
            "SELECT 'GRANT migreadonly TO {role}' WHERE NOT pg_has_role('{role}', 'migreadonly', 'USAGE') \\gexec"
        );
    }
    script.push_str("COMMIT;\n");
    let _ = writeln!(
        script,
        "SELECT 'CREATE DATABASE \"{database}\" OWNER migadmin' \
         WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{database}') \\gexec"
    );
    Ok(script)
}

/// A script for `psql` that gives the roles what programs of this age need, to run after MIG's schema. Run again it
/// changes nothing.
pub fn rights(age: Age) -> String {
    let mut script = "\
-- What MIG's roles may do. By a superuser in MIG's database, after MIG's own schema, and again at any time.
\\set ON_ERROR_STOP on
BEGIN;
GRANT USAGE ON SCHEMA public TO migscheduler, migapi, migreadonly;
-- Also investigators' private keys: its own is among them.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO migscheduler;
"
    .to_owned();
    for (_, role, rights, table, columns) in RIGHTS.iter().filter(|(since, ..)| *since <= age) {
        let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
        let _ = writeln!(script, "GRANT {rights}{columns} ON public.{table} TO {role};");
    }
    for (_, role, sequence) in SEQUENCES.iter().filter(|(since, ..)| *since <= age) {
        let _ = writeln!(script, "GRANT USAGE ON SEQUENCE public.{sequence} TO {role};");
    }
    script.push_str("COMMIT;\n");
    script
}

/// Lines for `pg_hba.conf`, to stand before all others that would fit. Without `tls` passwords cross the network as
/// MD5 leaves them. An error says that the database cannot be called so.
pub fn admissions(database: &str, schedulers: &[IpNet], apis: &[IpNet], tls: bool) -> Result<String, String> {
    check(database)?;
    let kind = if tls { "hostssl" } else { "host" };
    let rows = schedulers.iter().map(|net| ("migscheduler", net)).chain(apis.iter().map(|net| ("migapi", net)));
    let lines = rows.map(|(role, net)| format!("{kind}\t{database}\t{role}\t{}\tmd5\n", net.trunc()));
    Ok(std::iter::once("# MIG's programs do not speak SCRAM.\n".to_owned()).chain(lines).collect())
}

/// A name needs no quotes in any of the texts, and is no word that `pg_hba.conf` understands.
fn check(database: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = database.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !begins || database.len() > NAME_LEN_MAX || !database.chars().all(is_plain) {
        return Err(format!("{database:?} is no name of a database here: 1 to {NAME_LEN_MAX} of a-z, 0-9 and `_`"));
    }
    if matches!(database, "all" | "sameuser" | "samerole" | "samegroup" | "replication" | "postgres") {
        return Err(format!("`{database}` means something else to PostgreSQL"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_but_the_schedulers_ever_sees_private_keys() {
        for age in [Age::Of2015, Age::Of2017, Age::Of2019] {
            let script = rights(age);
            assert!(!script.contains("privatekey"));
            let on_investigators = script.lines().filter(|line| line.contains("ON public.investigators"));
            for line in on_investigators.filter(|line| !line.contains("migscheduler")) {
                assert!(line.contains('('), "{line}");
            }
        }
    }

    #[test]
    fn an_older_age_has_no_rights_on_what_it_has_not() {
        assert!(!rights(Age::Of2015).contains("loaders") && rights(Age::Of2017).contains("loaders"));
        let line = "GRANT INSERT, UPDATE ON public.agents TO migapi;";
        assert!(!rights(Age::Of2017).contains(line) && rights(Age::Of2019).contains(line));
    }

    #[test]
    fn passwords_stand_in_no_script() {
        let script = roles("mig").unwrap();
        assert!(script.contains("LOGIN PASSWORD :'migscheduler_password';"));
        assert!(script.find("password_encryption = 'md5'") < script.find("PASSWORD :'"));
    }

    #[test]
    fn every_program_is_admitted_from_its_own_hosts_only() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let lines = admissions("mig", &[net("192.0.2.7/32")], &[net("2001:db8::1/64")], true).unwrap();
        let rows: Vec<&str> = lines.lines().skip(1).collect();
        assert_eq!(rows, ["hostssl\tmig\tmigscheduler\t192.0.2.7/32\tmd5", "hostssl\tmig\tmigapi\t2001:db8::/64\tmd5"]);
    }

    #[test]
    fn a_name_that_would_mean_more_is_refused() {
        for name in ["", "1mig", "Mig", "mig'", "mig;", "mig\n", "all", "replication", &"m".repeat(64)] {
            assert!(roles(name).is_err() && admissions(name, &[], &[], true).is_err(), "{name:?}");
        }
    }
}
