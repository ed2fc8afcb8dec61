//! The certificate by which an upstream's servers know the gateway.

use std::sync::Arc;

use pingora_core::utils::tls::CertKey;

use crate::proxy::certificates::{certified, pair};
use crate::proxy::{CertificateFiles, CertificateProblem};

/// Whether files hold a certificate that can be shown to servers.
pub fn check_client_certificate(files: &CertificateFiles) -> Result<(), CertificateProblem> {
    read(files).map(|_| ())
}

/// Reads it as the proxy library takes it.
pub(super) fn read(files: &CertificateFiles) -> Result<Arc<CertKey>, CertificateProblem> {
    let (chain, key) = pair(files)?;
    // The library panics at what it cannot use.
    certified(files, chain.clone(), key.clone_key())?;
    let chain = chain.iter().map(|one| one.to_vec()).collect();
    Ok(Arc::new(CertKey::new(chain, key.secret_der().to_vec())))
}
