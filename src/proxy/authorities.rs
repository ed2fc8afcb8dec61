//! The certificate authorities that an upstream's certificate may come from, where they are not the
//! public ones.

use std::sync::Arc;

use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Certificates of authorities, at least one, each of which can be used.
#[derive(Debug, Clone)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// A text that names no authorities.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesProblem {
    /// It is no PEM text.
    #[error("the certificates cannot be read")]
    Unreadable(#[from] rustls::pki_types::pem::Error),
    /// A certificate in it is no authority's.
    #[error("a certificate in the file is not one of an authority")]
    Unusable(#[from] rustls::Error),
    /// It holds none.
    #[error("there is no certificate in the file")]
    Empty,
}

impl Authorities {
    /// Reads certificates in PEM.
    pub fn parse(pem: &[u8]) -> Result<Self, AuthoritiesProblem> {
        let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
        let mut roots = RootCertStore::empty();
        for certificate in &found {
            roots.add(certificate.clone())?;
        }
        if found.is_empty() {
            return Err(AuthoritiesProblem::Empty);
        }
        Ok(Self(found))
    }

    /// As the proxy library takes them.
    pub(super) fn for_peers(&self) -> Arc<CaType> {
        let wrapped = |one: &CertificateDer<'_>| WrappedX509::new(one.to_vec(), parse_x509);
        self.0.iter().map(wrapped).collect()
    }
}
