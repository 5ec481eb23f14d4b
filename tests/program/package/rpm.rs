//! The packages: made twice, looked at, and installed, upgraded, downgraded and removed with the scriptlets they have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::host::{Host, Said, TOP, free_port};
use crate::static_program::static_program;

/// A system that has what the packages ask for, and the package that one of them replaces.
const SYSTEM: &str = "
Name: test-system
Version: 1
Release: 1
Summary: What the test puts there by hand
License: MPL-2.0
Provides: /bin/sh, /usr/sbin/useradd, /usr/sbin/groupadd, /usr/bin/getent, logrotate
%description
None.
%files
%package -n taskcluster-host-secrets
Summary: The package before
Version: 1.2.3
%description -n taskcluster-host-secrets
None.
%install
mkdir -p %{buildroot}/etc/rc.d/init.d
echo '# its own' >%{buildroot}/etc/host-secrets.conf
printf '#!/bin/sh\\n# chkconfig: - 80 20\\ntrue\\n' >%{buildroot}/etc/rc.d/init.d/host-secrets
%preun -n taskcluster-host-secrets
/sbin/service host-secrets stop
/sbin/chkconfig --del host-secrets
%files -n taskcluster-host-secrets
%config(noreplace) /etc/host-secrets.conf
%attr(755,root,root) /etc/rc.d/init.d/host-secrets
";

/// Two releases of the packages in a repository, and the second one built again.
struct Built {
    dir: TempDir,
}

static BUILT: OnceLock<Built> = OnceLock::new();

fn built() -> &'static Built {
    BUILT.get_or_init(|| {
        let built = Built { dir: tempfile::tempdir().unwrap() };
        fs::write(built.path("system.spec"), SYSTEM).unwrap();
        let top = format!("_topdir {}", built.path("rpmbuild").display());
        let mut system = Command::new("rpmbuild");
        Said::of(system.args(["--define", &top, "--target", "noarch", "-bb"]).arg(built.path("system.spec"))).well();
        fs::rename(built.path("rpmbuild/RPMS/noarch"), built.path("repo")).unwrap();
        for (release, results) in [("1", "one"), ("2", "two"), ("2", "again")] {
            built.build(release, results);
        }
        built
    })
}

impl Built {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn build(&self, release: &str, results: &str) {
        let mut build = Command::new(format!("{TOP}/build-rpm.sh"));
        build.arg("--binary").arg(static_program()).args(["--release", release]);
        build.arg("--results").arg(self.path(results));
        if results != "again" {
            build.arg("--repo").arg(self.path("repo"));
        }
        Said::of(&mut build).well();
    }

    /// The packages of a build, by name: the source, the service, and the one for hosts of the ancestor.
    fn packages(&self, results: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path(results)).unwrap().map(|entry| entry.unwrap().path());
        let mut packages: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "rpm")).collect();
        packages.sort();
        packages
    }

    /// dnf at work on a host. What its scriptlets say is in the text.
    fn dnf(&self, host: &Host, arguments: &[&str]) -> Said {
        let mut dnf = host.outside("dnf");
        dnf.arg("-y").arg(format!("--installroot={}", host.root().display()));
        dnf.args(["--releasever=6", "--setopt=reposdir=/nonexistent", "--setopt=varsdir=/nonexistent", "--nogpgcheck"]);
        dnf.arg(format!("--setopt=cachedir={}", host.path("tmp/dnf").display())).arg("--repo=local");
        dnf.arg(format!("--repofrompath=local,file://{}", self.path("repo").display())).args(arguments);
        Said::of(&mut dnf)
    }
}

fn query(package: &Path, format: &str) -> String {
    Said::of(Command::new("rpm").args(["-qp", "--qf", format]).arg(package)).well()
}

#[test]
fn two_builds_of_one_commit_are_the_same_packages_and_el6_can_read_them() {
    let built = built();
    let packages = built.packages("two");
    let names: Vec<_> = packages.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    let version = env!("CARGO_PKG_VERSION");
    let architecture = std::env::consts::ARCH;
    assert_eq!(
        names,
        [
            format!("keylender-{version}-2.src.rpm"),
            format!("keylender-{version}-2.{architecture}.rpm"),
            format!("keylender-host-secrets-{version}-2.{architecture}.rpm"),
            format!("keylender-proxy-{version}-2.{architecture}.rpm")
        ]
    );
    for (one, other) in packages.iter().zip(built.packages("again")) {
        // A source package tells the directory in which it was made.
        let same = fs::read(one).unwrap() == fs::read(&other).unwrap();
        assert!(same || one == &packages[0], "{} is the same again", one.display());
        assert_eq!(query(one, "%{PAYLOADCOMPRESSOR} %{FILEDIGESTALGO}"), "gzip 8");
        let required = Said::of(Command::new("rpm").args(["-qp", "--requires"]).arg(one)).well();
        for feature in required.lines().filter_map(|line| line.strip_prefix("rpmlib(")) {
            let name = feature.split(')').next().unwrap();
            let known = ["CompressedFileNames", "FileDigests", "PayloadFilesHavePrefix"].contains(&name);
            assert!(known, "rpm 4.8 has no {name}");
        }
        assert!(!required.contains(".so"), "no library of the system: {required}");
    }
    for names in ["[%{OBSOLETES} ]", "[%{PROVIDES} ]"] {
        assert!(query(&packages[2], names).split(' ').any(|name| name == "taskcluster-host-secrets"));
    }
    let mut lint = Command::new("rpmlint");
    let said = Said::of(lint.arg("--config").arg(format!("{TOP}/packaging/rpmlint.toml")).args(&packages));
    assert!(said.text.contains(" 0 errors, 0 warnings"), "{}", said.text);
}

#[test]
fn it_is_installed_upgraded_downgraded_and_removed_and_keeps_what_is_the_operators() {
    let (built, host) = (built(), Host::new());
    let running = || host.shell("service keylender status").code == 0;
    let one = format!("keylender-{}-1", env!("CARGO_PKG_VERSION"));
    built.dnf(&host, &["install", &one]).well();
    assert!(!running() && !host.read("var/log/asked").contains("start"), "nobody said that it should run");
    assert!(host.path("var/known-keylender").exists() && !host.path("etc/rc.d/rc3.d/S86keylender").exists());
    let modes = host.shell("stat -c '%a %U %G %n' /etc/keylender.conf /var/lib/keylender /var/log/keylender").well();
    insta::assert_snapshot!(modes, @r"
    640 root keylender /etc/keylender.conf
    700 keylender keylender /var/lib/keylender
    750 keylender keylender /var/log/keylender
    ");
    let verified = Said::of(host.outside("rpm").arg("--root").arg(host.root()).args(["-V", "keylender"]));
    assert_eq!((verified.code, verified.text.as_str()), (0, ""));
    assert_eq!(fs::read(host.path("usr/bin/keylender")).unwrap(), fs::read(static_program()).unwrap());

    let settings = format!("NODE_ENV=production\nBIND=127.0.0.1\nPORT={}\n", free_port());
    host.write("etc/keylender.conf", &settings);
    host.shell("service keylender start").well();
    let pid = host.read("var/run/keylender.pid");
    built.dnf(&host, &["upgrade", "keylender"]).well();
    assert!(running() && host.read("var/run/keylender.pid") != pid, "what ran was restarted");
    assert_eq!(host.read("etc/keylender.conf"), settings);
    let backups = || fs::read_dir(host.path("var/lib/keylender/backups")).unwrap().count();
    assert_eq!(backups(), 1, "the store as it was before");
    built.dnf(&host, &["downgrade", &one]).well();
    assert!(running() && backups() == 2);

    host.shell("service keylender stop").well();
    host.write("etc/keylender.conf", "PORT=eighty\n");
    let said = built.dnf(&host, &["upgrade", "keylender"]).well();
    assert!(said.contains("NO BACKUP of /var/lib/keylender"), "it is said, and does not stand in the way: {said}");
    assert!(!running(), "what did not run does not begin to");

    host.write("etc/keylender.conf", &settings);
    host.shell("service keylender start").well();
    let pid = host.read("var/run/keylender.pid");
    built.dnf(&host, &["remove", "keylender"]).well();
    assert_ne!(host.shell(&format!("kill -0 {pid}")).code, 0, "it was stopped");
    assert!(!host.path("usr/bin/keylender").exists() && !host.path("var/known-keylender").exists());
    assert!(host.path("var/lib/keylender/keylender.redb").exists() && backups() == 2, "data stay");
    assert_eq!(host.read("etc/keylender.conf.rpmsave"), settings);
}

#[test]
fn a_host_of_the_ancestor_moves_by_an_upgrade_alone() {
    let (built, host) = (built(), Host::new());
    built.dnf(&host, &["install", "taskcluster-host-secrets-1.2.3"]).well();
    let settings = format!(
        "export NODE_ENV=production\nexport TASKCLUSTER_CLIENT_ID=project/hosts\nexport TASKCLUSTER_ACCESS_TOKEN=token-of-old\n\
         OPTIONS=\"--scope-base assume:host: --client-id-base host/ --expires '1 day' --allowed-ips 127.0.0.0/8 --port {}\"\n",
        free_port()
    );
    host.write("etc/host-secrets.conf", &settings);
    host.shell("chkconfig host-secrets on").well();

    built.dnf(&host, &["upgrade"]).well();
    assert_eq!(host.read("etc/host-secrets.conf"), settings);
    let modes = host.shell("stat -c '%a %U %G' /etc/host-secrets.conf").well();
    assert_eq!(modes, "640 root keylender\n", "for the service to read, and for nobody else");
    assert!(host.path("etc/rc.d/rc3.d/S86host-secrets").exists(), "it starts at boot as before");
    assert_eq!(host.shell("service host-secrets status").code, 0, "it ran and runs");
    assert_eq!(host.shell("service keylender status").code, 3);
    host.shell("keylender ping --config /etc/host-secrets.conf").well();
    let installed = Said::of(host.outside("rpm").arg("--root").arg(host.root()).arg("-qa")).well();
    assert!(installed.contains("keylender-host-secrets") && !installed.contains("taskcluster"), "{installed}");
}
