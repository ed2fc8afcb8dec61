//! The certificates of a listener: chosen by the name that a client asks for, exchanged without
//! dropping a connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::settings::CertificateFiles;
use crate::clock::Timestamp;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateProblem {
    /// A file cannot be read, or holds something else.
    #[error("{} is not a readable PEM file with a {wanted}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// A certificate or a private key.
        wanted: &'static str,
        /// Why.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// The chain holds no certificate.
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The key does not belong to the certificate, or is of a kind that is not supported.
    #[error("the key in {} cannot be used with its certificate", path.display())]
    UnfitKey {
        /// The file of the key.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl CertificateFiles {
    /// Which of these hosts the certificate is for; fails where a listener could not use it.
    pub fn hosts_among<'a>(&self, hosts: &[&'a str]) -> Result<Vec<&'a str>, CertificateProblem> {
        let loaded = load(self)?;
        let found = hosts.iter().filter(|host| is_for(&loaded, host));
        Ok(found.copied().collect())
    }
}

/// The certificates of a listener, at least one.
#[derive(Debug)]
pub struct Certificates(Vec<Certificate>);

/// One of them, and where it comes from.
#[derive(Debug)]
struct Certificate {
    files: CertificateFiles,
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    /// Reads these files, all of which must be right.
    pub(super) fn open(files: &[CertificateFiles]) -> Result<Self, CertificateProblem> {
        let open = |files: &CertificateFiles| {
            Ok(Certificate {
                files: files.clone(),
                current: ArcSwap::from(load(files)?),
            })
        };
        files.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Reads all files again, and says of each certificate what came of it. Where files cannot be
    /// used, the certificate that was read from them before stays in use.
    pub fn reload(&self) -> Vec<(&CertificateFiles, Result<(), CertificateProblem>)> {
        let reload = |one: &Certificate| load(&one.files).map(|loaded| one.current.store(loaded));
        self.0.iter().map(|one| (&one.files, reload(one))).collect()
    }

    /// Until when each of those in use is good.
    pub fn ends(&self) -> Vec<(&CertificateFiles, Timestamp)> {
        self.0.iter().filter_map(Certificate::end).collect()
    }

    /// The first one that is for this name, with a key that the client can check; where none is,
    /// the first one.
    fn choose(&self, name: Option<&str>, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |one: &CertifiedKey| {
            let schemes = hello.signature_schemes();
            name.is_some_and(|name| is_for(one, name)) && one.key.choose_scheme(schemes).is_some()
        };
        let loaded = self.0.iter().map(|one| one.current.load_full());
        let fitting = loaded.clone().find(|one| fits(one));
        fitting.or_else(|| loaded.clone().next())
    }
}

impl Certificate {
    /// Its last moment (RFC 5280, section 4.1.2.5).
    fn end(&self) -> Option<(&CertificateFiles, Timestamp)> {
        let current = self.current.load();
        let leaf = current.end_entity_cert().ok()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
        let seconds = parsed.validity().not_after.timestamp();
        let end = Timestamp::from_millis(seconds.saturating_mul(1000));
        Some((&self.files, end))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), &hello)
    }
}

/// Whether a certificate is for a name, wildcards included (RFC 6125, section 6.4).
fn is_for(certificate: &CertifiedKey, name: &str) -> bool {
    let parsed = certificate
        .end_entity_cert()
        .map(ParsedCertificate::try_from);
    match (parsed, ServerName::try_from(name)) {
        (Ok(Ok(parsed)), Ok(name)) => verify_server_name(&parsed, &name).is_ok(),
        _ => false,
    }
}

fn load(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, CertificateProblem> {
    let (chain, key) = pair(files)?;
    certified(files, chain, key).map(Arc::new)
}

/// A chain of at least one certificate, and a key.
pub(super) type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What the files hold.
pub(super) fn pair(files: &CertificateFiles) -> Result<Pair, CertificateProblem> {
    let unreadable = |path: &Path, wanted| {
        let path = path.to_owned();
        move |cause| CertificateProblem::Unreadable {
            path,
            wanted,
            cause,
        }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(&files.certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(CertificateProblem::Empty {
            path: files.certificate.clone(),
        });
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key, "private key"))?;
    Ok((chain, key))
}

/// The two together, ready for use; fails where they do not belong together.
pub(super) fn certified(
    files: &CertificateFiles,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, CertificateProblem> {
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|cause| {
        CertificateProblem::UnfitKey {
            path: files.key.clone(),
            cause,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> CertificateFiles {
        CertificateFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        }
    }

    fn write(files: &CertificateFiles, name: &str) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let problem = |files: &CertificateFiles| load(files).unwrap_err().to_string();
        assert!(problem(&files).contains("tls.crt is not a readable PEM file"));
        std::fs::write(&files.certificate, "").unwrap();
        std::fs::write(&files.key, "").unwrap();
        assert!(problem(&files).contains("tls.crt holds no certificate"));
        write(&files, "one.example");
        let certificate = std::fs::read(&files.certificate).unwrap();
        std::fs::write(&files.key, "no key").unwrap();
        assert!(problem(&files).contains("tls.key is not a readable PEM file"));
        write(&files, "other.example");
        std::fs::write(&files.certificate, certificate).unwrap();
        assert!(
            problem(&files).contains("the key in"),
            "of another certificate"
        );
    }

    #[test]
    fn a_reload_takes_the_new_certificate_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        write(&files, "one.example");
        let certificates = Certificates::open(std::slice::from_ref(&files)).unwrap();
        let in_use = || certificates.0[0].current.load().cert[0].to_vec();
        let outcome = || certificates.reload().remove(0).1;
        let second = write(&files, "two.example");
        outcome().unwrap();
        assert_eq!(in_use(), second);
        std::fs::write(&files.key, "broken").unwrap();
        assert!(outcome().is_err());
        assert_eq!(in_use(), second);
    }

    #[test]
    fn a_certificate_tells_until_when_it_is_good() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let mut certificates = None;
        for (year, day) in [(2030, "2030-02-28"), (2051, "2051-02-28")] {
            let mut wanted = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            wanted.not_after = rcgen::date_time_ymd(year, 2, 28);
            let key = rcgen::KeyPair::generate().unwrap();
            let made = wanted.self_signed(&key).unwrap();
            std::fs::write(&files.certificate, made.pem()).unwrap();
            std::fs::write(&files.key, key.serialize_pem()).unwrap();
            let open = || Certificates::open(std::slice::from_ref(&files)).unwrap();
            let certificates = certificates.get_or_insert_with(open);
            certificates.reload().remove(0).1.unwrap();
            let (of, end) = certificates.ends().remove(0);
            assert_eq!((of, end.day().as_str()), (&files, day));
        }
    }

    #[test]
    fn a_certificate_tells_the_hosts_that_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        write(&files, "*.acme.example");
        let hosts = [
            "iot.acme.example",
            "acme.example",
            "a.b.acme.example",
            "[::1]",
        ];
        assert_eq!(files.hosts_among(&hosts).unwrap(), ["iot.acme.example"]);
    }
}
