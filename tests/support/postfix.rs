//! A Postfix of the test's own: its own settings, queue, ports and certificates, stopped when the test ends.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

pub const USER: &str = "desk";
pub const PASSWORD: &str = "correct-horse-that-nobody-may-see";

pub struct Postfix {
    folder: TempDir,
    /// STARTTLS and sign-in demanded.
    pub submission: u16,
    /// TLS from the first byte, sign-in demanded.
    pub implicit: u16,
    /// TLS from the first byte, with a certificate for another name.
    pub misnamed: u16,
    /// Neither TLS nor sign-in; asks the policy about each recipient.
    pub plain: u16,
    pub policy: Policy,
}

/// Answers what it is told to; the last answer is repeated.
#[derive(Clone, Default)]
pub struct Policy {
    pub answers: Arc<Mutex<Vec<&'static str>>>,
    pub asked: Arc<Mutex<usize>>,
}

impl Postfix {
    /// Starts one; nothing (with the reason printed) where this machine cannot have one.
    pub fn start() -> Option<Postfix> {
        Postfix::offering("PLAIN LOGIN")
    }

    /// Starts one that lets people sign in by these mechanisms only.
    pub fn offering(mechanisms: &str) -> Option<Postfix> {
        if let Err(why) = installed() {
            eprintln!("skipped: {why}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
        for name in ["etc/sasl", "queue", "data", "mail", "sasl"] {
            std::fs::create_dir_all(dir.join(name)).unwrap();
        }
        let (postfix, nobody) = (ids("postfix"), ids("nobody"));
        chown(dir.join("data"), Some(postfix.0), None).unwrap();
        chown(dir.join("mail"), Some(nobody.0), Some(nobody.1)).unwrap();
        certificates(dir);
        let words = format!(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}/sasl/db\nmech_list: {mechanisms}\n",
            dir.display()
        );
        std::fs::write(dir.join("etc/sasl/smtpd.conf"), words).unwrap();
        password(dir);
        chown(dir.join("sasl/db"), Some(postfix.0), None).unwrap();
        let reserved: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = reserved.iter().map(|port| port.local_addr().unwrap().port()).collect();
        let policy = Policy::default();
        let asked = policy.serve();
        std::fs::write(dir.join("etc/main.cf"), main(dir, nobody)).unwrap();
        std::fs::write(dir.join("etc/master.cf"), master(dir, &ports, asked)).unwrap();
        let postfix =
            Postfix { submission: ports[0], implicit: ports[1], misnamed: ports[2], plain: ports[3], folder, policy };
        drop(reserved);
        let started = postfix.tell("start");
        assert!(started.status.success(), "{}\n{}", String::from_utf8_lossy(&started.stderr), postfix.log());
        for port in ports {
            until("Postfix to listen", || TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(()));
        }
        Some(postfix)
    }

    /// The certificate of who signed the server's.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits for so many delivered mails; oldest first.
    pub fn mails(&self, count: usize) -> Vec<PathBuf> {
        until("the delivery", || {
            let found = std::fs::read_dir(self.folder.path().join("mail/desk/new")).ok()?;
            let mut found: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
            found.sort_by_key(|file| std::fs::metadata(file).unwrap().modified().unwrap());
            (found.len() >= count).then_some(found)
        })
    }

    fn tell(&self, what: &str) -> Output {
        Command::new("postfix").arg("-c").arg(self.folder.path().join("etc")).arg(what).output().unwrap()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _stopped = self.tell("stop");
    }
}

impl Policy {
    /// Speaks Postfix's policy protocol (<https://www.postfix.org/SMTPD_POLICY_README.html>) on a port of its own.
    fn serve(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let policy = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let policy = policy.clone();
                std::thread::spawn(move || policy.talk(stream.unwrap()));
            }
        });
        port
    }

    fn talk(&self, mut stream: TcpStream) {
        let asking = BufReader::new(stream.try_clone().unwrap());
        for line in asking.lines() {
            let Ok(line) = line else { return };
            if !line.is_empty() {
                continue;
            }
            *self.asked.lock().unwrap() += 1;
            let mut answers = self.answers.lock().unwrap();
            let answer = match answers.len() {
                0 => "DUNNO",
                1 => answers[0],
                _ => answers.remove(0),
            };
            if stream.write_all(format!("action={answer}\n\n").as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Installs Postfix where that is wanted (`CI`, `FILLGUARD_INSTALL`): nobody's machine is changed by a test unasked.
fn installed() -> Result<(), String> {
    let there = || {
        let run = |program: &str, arg: &str| Command::new(program).arg(arg).output().is_ok();
        run("postconf", "-h") && run("saslpasswd2", "-h") && run("openssl", "version")
    };
    let root = std::process::Command::new("id").arg("-u").output().is_ok_and(|done| done.stdout.starts_with(b"0\n"));
    if !root {
        return Err("Postfix is started by root alone".to_owned());
    }
    if there() {
        return Ok(());
    }
    if std::env::var_os("CI").is_none() && std::env::var_os("FILLGUARD_INSTALL").is_none() {
        return Err("Postfix and saslpasswd2 are not here; install postfix, sasl2-bin and libsasl2-modules, or set \
                    FILLGUARD_INSTALL=1"
            .to_owned());
    }
    // Without a configuration of its own the machine's Postfix is not started.
    let script = "echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
         apt-get update -qq && apt-get install -y -qq --no-install-recommends postfix sasl2-bin libsasl2-modules openssl";
    let done = Command::new("sh").args(["-c", script]).env("DEBIAN_FRONTEND", "noninteractive").output();
    if there() { Ok(()) } else { Err(format!("Postfix cannot be installed: {done:?}").chars().take(600).collect()) }
}

fn main(dir: &Path, nobody: (u32, u32)) -> String {
    let (dir, (user, group)) = (dir.display(), nobody);
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
myhostname = localhost
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
alias_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = inline:{{{{desk@example.org=desk/}}}}
virtual_minimum_uid = 1
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{group}
smtpd_tls_chain_files = {dir}/localhost.key, {dir}/localhost.pem
smtpd_sasl_local_domain = localhost
smtpd_error_sleep_time = 0
smtpd_relay_restrictions = reject_unauth_destination
"
    )
}

fn master(dir: &Path, ports: &[u16], policy: u16) -> String {
    let signed = "-o smtpd_sasl_auth_enable=yes -o smtpd_client_restrictions=permit_sasl_authenticated,reject";
    let [submission, implicit, misnamed, plain] = ports else { panic!("four ports") };
    let dir = dir.display();
    format!(
        "127.0.0.1:{submission} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {signed}
127.0.0.1:{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {signed}
127.0.0.1:{misnamed} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
  -o smtpd_tls_chain_files={dir}/other.key,{dir}/other.pem {signed}
127.0.0.1:{plain} inet n - n - - smtpd
  -o {{ smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{policy} }}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"
    )
}

/// A signer, and certificates by it for `localhost` and for `mail.example.org`.
fn certificates(dir: &Path) {
    let openssl = |args: &str| {
        let done = Command::new("openssl").args(args.split(' ')).current_dir(dir).output().unwrap();
        assert!(done.status.success(), "{args}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -days 2 -subj /CN=signer -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem"
    ));
    for (name, host) in [("localhost", "localhost"), ("other", "mail.example.org")] {
        std::fs::write(dir.join(format!("{name}.ext")), format!("subjectAltName=DNS:{host}\n")).unwrap();
        openssl(&format!("req {key} -subj /CN={host} -keyout {name}.key -out {name}.csr"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile {name}.ext -out {name}.pem"
        ));
    }
}

fn password(dir: &Path) {
    let mut child = Command::new("saslpasswd2")
        .args(["-p", "-c", "-u", "localhost", "-f"])
        .arg(dir.join("sasl/db"))
        .arg(USER)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn ids(user: &str) -> (u32, u32) {
    let id = |what: &str| {
        let said = Command::new("id").args([what, user]).output().unwrap().stdout;
        String::from_utf8(said).unwrap().trim().parse().unwrap()
    };
    (id("-u"), id("-g"))
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain for {what}")
}
