//! What `vestibule` says to those who call it, as far as no gateway has to run for it.

#![expect(clippy::expect_used, reason = "tests say what is wrong by failing")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, ExitStatus, Stdio};

/// An installation without mistakes.
const SOUND: &str = "
    host = [{ origin = 'https://app.example.com' }]
    listen = { address = '127.0.0.1:8080' }
    upstream = { servers = ['http://10.0.0.5:8080'] }
    [[identity_provider]]
    id = 'corp'
    issuer = 'https://idp.example.com'
    client_id = 'vestibule'
";

/// A folder with an installation in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(vestibule: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("vestibule.toml"), vestibule).expect("a file");
        Self(folder)
    }

    /// `vestibule …` in the folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        command.args(arguments).current_dir(self.0.path());
        command.env_remove("VESTIBULE_CONFIG");
        command
    }

    /// Runs a command whose output nobody reads, and gives what it complained about.
    fn unread(&self, arguments: &[&str]) -> (ExitStatus, String) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = self.command(arguments).stdout(writer).output();
        let output = output.expect("the program runs");
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status, complained)
    }
}

#[test]
fn commands_end_quietly_when_their_reader_is_gone() {
    let folder = Folder::with(SOUND);
    for command in [
        "mail preview",
        "mail preview proof-code",
        "mail preview proof-code --html",
        "check",
        "migrate",
        "agreements export",
        "schema",
        "config-reference",
        "--help",
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let (status, complained) = folder.unread(&arguments);
        assert!(status.success(), "{command}: {status}");
        assert_eq!(complained, "", "{command}");
    }
}

#[test]
fn check_tells_of_every_file_and_what_it_could_not_judge_yet() {
    let folder = Folder::with(&format!("{SOUND}\n    clientid = 'x'"));
    let policies = folder.0.path().join("policies");
    fs::create_dir(&policies).expect("a folder");
    let (acces, cel) = ("acces = 'public'", "require = '1 +'");
    let rule = |more: &str| format!("[[rule]]\nname = 'a'\npath = '/a'\n{more}\n");
    for (access, is_ill_formed) in [(rule(acces), true), (rule(cel), false)] {
        fs::write(policies.join("access.toml"), access).expect("a file");
        let output = folder.command(&["check"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.contains("vestibule.toml:10:5: error: unknown key"),
            "{said}"
        );
        assert!(said.contains("access.toml:4:"), "{said}");
        assert!(
            said.contains("More may be wrong with vestibule.toml"),
            "{said}"
        );
        let more = said.contains("access.toml: only its form was judged");
        assert_eq!(more, is_ill_formed, "{said}");
    }
}

#[test]
fn commands_fail_quietly_when_nobody_reads_complaints() {
    let folder = Folder::with("host = 7");
    for command in ["serve", "migrate", "registrations list", "mail queue list"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let arguments: Vec<&str> = command.split(' ').collect();
        let status = folder.command(&arguments).stderr(writer).status();
        let code = status.expect("the program runs").code();
        assert_eq!(code, Some(1), "{command}");
    }
}

#[test]
fn the_configuration_is_named_before_or_after_the_command() {
    let folder = Folder::with("");
    for command in [
        "serve",
        "check",
        "migrate",
        "explain --request /",
        "mail test --to a@b.example",
        "mail queue list",
        "mail queue retry",
        "agreements export",
        "registrations list",
        "registrations approve 1",
        "invitations list",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        for place in 0..=words.len() {
            let mut arguments = words.clone();
            if place > 0 && words[place - 1].starts_with("--") {
                continue;
            }
            arguments.splice(place..place, ["--config", "other.toml"]);
            let output = folder.command(&arguments).output();
            let output = output.expect("the program runs");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(said.contains("other.toml: error"), "{arguments:?}: {said}");
        }
    }
}

/// CG-01: what would be unsafe is said with its place, and nothing that is named is asked for it.
#[test]
fn what_is_unsafe_is_said_without_a_network() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    let there = trap.local_addr().expect("its address");
    let folder = Folder::with(&format!(
        "host = [{{ origin = 'http://app.example.com' }}]
        listen = {{ address = '0.0.0.0:8080', admin = '0.0.0.0:9090', trusted_proxies = ['::/0'] }}
        upstream = {{ servers = ['http://{there}'] }}
        store = {{ database = 'postgres://a@{there}/a', sessions = 'redis://{there}' }}
        mail = {{ smtp = 'smtp://{there}', from = 'a@b.example' }}
        [[identity_provider]]
        id = 'corp'
        issuer = 'http://idp.example.com'
        client_id = 'vestibule'
        client_secret = {{ file = 'open' }}
        [[identity_provider]]
        id = 'here'
        issuer = 'http://{there}'
        client_id = 'vestibule'
        client_secret = {{ file = 'placeholder' }}
    "
    ));
    let rules = "[[rule]]
        name = 'all'
        path = '/**'
        access = 'public'
        [[rule]]
        name = 'one'
        path = '/a/**'
        [[rule]]
        name = 'two'
        path = '/a/**'
    ";
    let write =
        |file: &str, text: &str| fs::write(folder.0.path().join(file), text).expect("a file");
    write("open", "a secret that is long enough");
    write("placeholder", "changeme");
    fs::create_dir(folder.0.path().join("policies")).expect("a folder");
    write("policies/access.toml", rules);
    let output = folder
        .command(&["check"])
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    for expected in [
        "vestibule.toml:1:20: error: browsers keep the gateway's cookies on https only",
        "vestibule.toml:2:54: warning: the admin listener answers on every address",
        "this trusts everybody to say where requests come from",
        "error: an issuer is asked by https only, except on this machine",
        "warning: everybody on this machine may read open",
        "policies/access.toml:3:16: warning: everything that no other rule is for is public",
        "error: `two` never decides: its requests fall to `one`",
        "vestibule.toml:15:25: error: the secret is a placeholder",
    ] {
        assert!(said.contains(expected), "no {expected:?} in:\n{said}");
    }
    trap.set_nonblocking(true).expect("a listener");
    assert!(trap.accept().is_err(), "`check` asked a server");
}

#[test]
fn a_demo_whose_terminal_is_closed_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().expect("a folder");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .arg("demo")
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let said = BufReader::new(demo.stdout.take().expect("its output"));
    let mut lines = said.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("Stop with Ctrl-C")));
    let hung_up = Command::new("kill")
        .args(["-HUP", &demo.id().to_string()])
        .status();
    assert!(hung_up.expect("kill starts").success());
    assert!(demo.wait().expect("an end").success());
    let left = fs::read_dir(temporary.path()).expect("a folder").count();
    assert_eq!(left, 0);
}

#[test]
fn there_are_no_receipts_before_the_first_start() {
    let folder = Folder::with(SOUND);
    let output = folder.command(&["agreements", "export"]).output();
    let output = output.expect("the program runs");
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complained}");
    assert!(complained.starts_with("There are no receipts yet"));
    let files = fs::read_dir(folder.0.path()).expect("a folder").count();
    assert_eq!(files, 1, "only vestibule.toml");
}
