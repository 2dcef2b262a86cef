//! How many certificates may lie between a trusted one and a peer's.

use super::certificate::{CONTEXT_0, Der, INTEGER, SEQUENCE};
use rustls::{CertificateError, Error, OtherError};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;

/// Too many certificates lie between the peer's and a trusted one.
#[derive(Debug, thiserror::Error)]
#[error("more certificates lie between the peer's and a trusted one than are allowed")]
pub(super) struct TooDeep;

/// Verifies `end_entity` along a chain of at most `depth_max` certificates, its own counted and the trusted one's not.
///
/// The library follows whichever chain it finds first, and does not say which. Where a peer sends so few certificates
/// that no chain of them is too long, that is as good as any; else each chain that is short enough is tried by itself.
//= https://www.rfc-editor.org/rfc/rfc5280#section-6.1
pub(super) fn within(
    depth_max: usize,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    verify: impl Fn(&[CertificateDer<'_>]) -> Result<(), Error>,
) -> Result<(), Error> {
    verify(intermediates)?;
    let is_short = intermediates.len() < depth_max
        || chains(end_entity, intermediates, depth_max.saturating_sub(1)).iter().any(|chain| verify(chain).is_ok());
    match is_short {
        true => Ok(()),
        false => Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(TooDeep))))),
    }
}

/// The chains of at most so many intermediates that lead on from a certificate, by the names in them. What a longer one
/// would begin with is cut off; a chain that another one begins with is left out.
fn chains<'c>(
    end_entity: &CertificateDer<'_>,
    intermediates: &'c [CertificateDer<'_>],
    length_max: usize,
) -> Vec<Vec<CertificateDer<'c>>> {
    let Some(first) = Names::of(end_entity) else { return Vec::new() };
    let named = intermediates.iter().filter_map(|der| Some((Names::of(der)?, der)));
    let search = Search { named: named.collect(), length_max };
    let mut found = Vec::new();
    search.extend(first.issuer, &mut Vec::new(), &mut found);
    let borrowed = |at: &usize| CertificateDer::from(search.named[*at].1.as_ref());
    found.iter().map(|chain| chain.iter().map(borrowed).collect()).collect()
}

/// Who is named in a certificate, in DER.
struct Names<'c> {
    issuer: &'c [u8],
    subject: &'c [u8],
}

impl<'c> Names<'c> {
    fn of(der: &'c [u8]) -> Option<Self> {
        let mut tbs = Der(Der(Der(der).expect(SEQUENCE)?).expect(SEQUENCE)?);
        if tbs.peek() == Some(CONTEXT_0) {
            tbs.element()?;
        }
        tbs.expect(INTEGER)?;
        tbs.expect(SEQUENCE)?; // signature algorithm
        let issuer = tbs.expect(SEQUENCE)?;
        tbs.expect(SEQUENCE)?; // validity
        Some(Self { issuer, subject: tbs.expect(SEQUENCE)? })
    }
}

struct Search<'c> {
    named: Vec<(Names<'c>, &'c CertificateDer<'c>)>,
    length_max: usize,
}

impl Search<'_> {
    /// Goes on from `chain`, whose last certificate names this issuer. As deep as a chain is long, which is 9 at most.
    fn extend(&self, issuer: &[u8], chain: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
        let mut is_last = true;
        let may_grow = chain.len() < self.length_max;
        for (at, (names, _)) in self.named.iter().enumerate().filter(|_| may_grow) {
            if found.len() == CHAINS_MAX {
                return;
            }
            if names.subject == issuer && !chain.contains(&at) {
                is_last = false;
                chain.push(at);
                self.extend(names.issuer, chain, found);
                chain.pop();
            }
        }
        if is_last {
            found.push(chain.clone());
        }
    }
}

/// So many chains are tried: who sends a heap of certificates with the same names is not worth more signatures.
const CHAINS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    /// A certificate of this name that the other has signed.
    fn signed(name: &str, by: &Issuer<'_, KeyPair>) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let der = params.signed_by(&key, by).expect("a certificate").der().clone();
        (der, Issuer::new(params, key))
    }

    fn root() -> Issuer<'static, KeyPair> {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "root");
        Issuer::new(params, KeyPair::generate().expect("a key"))
    }

    #[test]
    fn the_chains_that_are_short_enough_are_found_in_any_order() {
        let root = root();
        let (one, by_one) = signed("one", &root);
        let (two, by_two) = signed("two", &by_one);
        let (leaf, _) = signed("leaf", &by_two);
        let (stranger, _) = signed("stranger", &by_one);
        let sent = [one.clone(), stranger, two.clone()];
        assert_eq!(chains(&leaf, &sent, 2), [vec![two.clone(), one]]);
        assert_eq!(chains(&leaf, &sent, 1), [vec![two]]);
        assert_eq!(chains(&leaf, &sent, 0), [vec![]]);
        assert_eq!(chains(&CertificateDer::from(vec![1, 2, 3]), &sent, 2).len(), 0);
    }

    #[test]
    fn a_heap_of_certificates_that_name_each_other_ends() {
        let root = root();
        let same: Vec<_> = (0..30).map(|_| signed("root", &root).0).collect();
        let (leaf, _) = signed("leaf", &root);
        assert_eq!(chains(&leaf, &same, 9).len(), CHAINS_MAX);
    }
}
