//! Certificates that sign themselves, for servers and for those who call them.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use vestibule::proxy::CertificateFiles;

/// A certificate and its key.
pub struct OwnCertificate(rcgen::CertifiedKey<rcgen::KeyPair>);

/// A certificate for a name.
pub fn certificate_for(name: &str) -> OwnCertificate {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]);
    OwnCertificate(made.expect("a certificate"))
}

impl OwnCertificate {
    pub fn pem(&self) -> String {
        self.0.cert.pem()
    }

    pub fn key_pem(&self) -> String {
        self.0.signing_key.serialize_pem()
    }

    /// A server with it, which takes only this client, if one is named.
    pub fn server_config(&self, client: Option<&Self>) -> rustls::ServerConfig {
        let key = PrivateKeyDer::try_from(self.0.signing_key.serialize_der()).expect("a key");
        let builder = match client {
            None => rustls::ServerConfig::builder().with_no_client_auth(),
            Some(client) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(client.0.cert.der().clone()).expect("a root");
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
                let builder = rustls::ServerConfig::builder();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        let chain = vec![self.0.cert.der().clone()];
        builder.with_single_cert(chain, key).expect("a certificate")
    }

    /// As files in a folder.
    pub fn write_to(&self, folder: &Path) -> CertificateFiles {
        let files = CertificateFiles {
            certificate: folder.join("client.crt"),
            key: folder.join("client.key"),
        };
        std::fs::write(&files.certificate, self.pem()).expect("a file");
        std::fs::write(&files.key, self.key_pem()).expect("a file");
        files
    }
}
