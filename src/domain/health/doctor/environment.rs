//! Findings about where an appliance is at work: its certificates, its port, its open files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::{Finding, Grade};
use crate::base::Timestamp;
use crate::ports::{system, tls};
use crate::proto::certificates::{Age, Certificate};

/// Where an appliance is at work.
#[derive(Debug)]
pub struct Environment {
    /// The files of certificates that settings name.
    pub certificates: Vec<CertificateFile>,
    pub address: SocketAddr,
    /// Where it listens, while it does.
    pub listens: OnceLock<SocketAddr>,
    /// Whether it speaks TLS there.
    pub is_tls: bool,
    /// Files that it opens at most.
    pub files_needed: u64,
}

#[derive(Clone, Debug)]
pub struct CertificateFile {
    /// The setting that names it.
    pub setting: &'static str,
    pub path: PathBuf,
    /// Whether each of its certificates is trusted for itself, so that one which is over is only one less.
    pub is_authorities: bool,
    /// What makes a new one count.
    pub remedy: &'static str,
}

impl Environment {
    pub fn findings(&self, now: Timestamp) -> Vec<Finding> {
        let certificates = self.certificates.iter().map(|file| certificate(file, now));
        certificates.chain([self.port(), self.open_files()]).collect()
    }

    fn port(&self) -> Finding {
        let (about, protocol) = ("port", if self.is_tls { "TLS" } else { "no TLS" });
        if let Some(address) = self.listens.get() {
            return Finding::new(about, Grade::Well, format!("it listens on {address} and speaks {protocol}"));
        }
        let address = self.address;
        match system::cannot_listen(address) {
            None if address.port() == 0 => Finding::new(about, Grade::Well, "PORT is 0: any that is free"),
            None => Finding::new(about, Grade::Well, format!("{address} is free; it will speak {protocol}")),
            Some(why) => Finding::new(about, Grade::Problem, format!("it could not listen on {address}: {why}")),
        }
    }

    fn open_files(&self) -> Finding {
        let (about, needed) = ("open files", self.files_needed);
        match system::files_max() {
            Some(max) if max < needed => Finding::new(
                about,
                Grade::Warning,
                format!(
                    "{max} are allowed and CONNECTIONS_MAX needs {needed}: raise the hard limit (`ulimit -Hn`, \
                     LimitNOFILE), or set CONNECTIONS_MAX"
                ),
            ),
            _ => Finding::new(about, Grade::Well, format!("as many as CONNECTIONS_MAX needs are allowed: {needed}")),
        }
    }
}

fn certificate(file: &CertificateFile, now: Timestamp) -> Finding {
    let (about, CertificateFile { setting, remedy, is_authorities, .. }) = ("certificate", file);
    let certificates = match tls::described(setting, &file.path) {
        Ok(certificates) => certificates,
        Err(error) => return Finding::new(about, Grade::Problem, error.chain()),
    };
    let invalid = |certificate: &Certificate| matches!(certificate.age(now), Age::Over | Age::NotYet);
    // The one that ends first is the one to speak of, after those that do not count.
    let Some(worst) = certificates.iter().min_by_key(|c| (!invalid(c), c.valid_until)) else {
        return Finding::new(about, Grade::Problem, format!("the file of {setting} holds none"));
    };
    let Certificate { subject, valid_from, valid_until, .. } = worst;
    let none_counts = certificates.iter().all(invalid);
    let invalid_grade = if *is_authorities && !none_counts { Grade::Warning } else { Grade::Problem };
    let (grade, what) = match worst.age(now) {
        Age::Valid => (Grade::Well, "it is valid".to_owned()),
        Age::EndsSoon => (Grade::Warning, format!("it ends within thirty days: renew it, then {remedy}")),
        Age::Over => (invalid_grade, format!("it is over: renew it, then {remedy}")),
        Age::NotYet => {
            (invalid_grade, "it is not valid yet: look at the clock of this host and of who made it".to_owned())
        }
    };
    Finding::new(about, grade, format!("{setting} ({subject}), from {valid_from} until {valid_until}: {what}"))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn pem(until: i32) -> String {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(until, 1, 1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_certificate_is_warned_of_before_it_ends_and_a_problem_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cert.pem");
        let mut file = CertificateFile { setting: "TLS_CERT", path, is_authorities: false, remedy: "send SIGHUP" };
        std::fs::write(&file.path, pem(2027)).unwrap();
        for (now, grade, said) in [
            ("2026-06-01T00:00:00.000Z", Grade::Well, "it is valid"),
            ("2026-12-10T00:00:00.000Z", Grade::Warning, "within thirty days: renew it, then send SIGHUP"),
            ("2027-01-02T00:00:00.000Z", Grade::Problem, "it is over: renew it, then send SIGHUP"),
            ("2025-12-31T00:00:00.000Z", Grade::Problem, "not valid yet"),
        ] {
            let finding = certificate(&file, now.parse().unwrap());
            assert_eq!(finding.grade, grade, "{now}");
            assert!(finding.text.starts_with("TLS_CERT (") && finding.text.contains(said), "{}", finding.text);
        }
        let now = "2028-01-01T00:00:00.000Z".parse().unwrap();
        std::fs::write(&file.path, pem(2027) + &pem(2030)).unwrap();
        assert_eq!(certificate(&file, now).grade, Grade::Problem, "a chain is as good as its worst");
        file.is_authorities = true;
        assert_eq!(certificate(&file, now).grade, Grade::Warning, "one authority less");
        std::fs::write(&file.path, "nonsense").unwrap();
        assert_eq!(certificate(&file, now).grade, Grade::Problem);
    }
}
