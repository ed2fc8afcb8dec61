//! The certificate by which an upstream's servers know the gateway.

use std::path::Path;
use std::sync::Arc;

use pingora_core::utils::tls::CertKey;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::proxy::{CertificateFiles, CertificateProblem};

/// Whether files hold a certificate that can be shown to servers.
pub fn check_client_certificate(files: &CertificateFiles) -> Result<(), CertificateProblem> {
    read(files).map(|_| ())
}

/// Reads it as the proxy library takes it.
pub(super) fn read(files: &CertificateFiles) -> Result<Arc<CertKey>, CertificateProblem> {
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
    // The library panics at what it cannot use.
    CertifiedKey::from_der(chain.clone(), key.clone_key(), &ring::default_provider()).map_err(
        |cause| CertificateProblem::UnfitKey {
            path: files.key.clone(),
            cause,
        },
    )?;
    let chain = chain.iter().map(|one| one.to_vec()).collect();
    Ok(Arc::new(CertKey::new(chain, key.secret_der().to_vec())))
}
