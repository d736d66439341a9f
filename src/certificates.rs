//! Certificates for labs: an authority that is made for one lab and thrown away with it, and what it signs. Text in
//! (PEM), text out: nothing here knows files, programs or the kernel.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use crate::lab::LabName;

/// A certificate, and the key that it is of.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// The longest common name, in characters (RFC 5280, `ub-common-name`).
const LONGEST: usize = 64;

/// A new authority of a lab.
///
/// # Errors
/// There is no randomness to make a key of.
pub fn authority(lab: &LabName) -> Result<Certified, String> {
    let key = KeyPair::generate().map_err(words)?;
    let certificate = of_authority(lab).self_signed(&key).map_err(words)?;
    Ok(Certified { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// A new certificate for these hosts, signed by the authority of a lab, whose key this is.
///
/// # Errors
/// The key is none, or a host cannot be one of a certificate.
pub fn signed(lab: &LabName, authority: &str, hosts: &[&str]) -> Result<Certified, String> {
    let issuer = Issuer::new(of_authority(lab), KeyPair::from_pem(authority).map_err(words)?);
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(words)?;
    // Who it is for is among the alternative names, which may be longer.
    let first = hosts.iter().find(|host| host.len() <= LONGEST);
    params.distinguished_name = name(first.copied().unwrap_or("a host of the lab"));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().map_err(words)?;
    let certificate = params.signed_by(&key, &issuer).map_err(words)?;
    Ok(Certified { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// What the authority of a lab says of itself; only its key is its own.
fn of_authority(lab: &LabName) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&format!("authority of the lab {lab}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name.push(DnType::OrganizationName, "nslab");
    name
}

fn words(error: Error) -> String {
    format!("its certificates cannot be made: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another_and_only_a_key_signs() {
        let lab: LabName = "web".parse().unwrap();
        let (one, other) = (authority(&lab).unwrap(), authority(&lab).unwrap());
        assert!(one.key != other.key && one.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        let long = format!("{}.example", "a".repeat(63));
        let own = signed(&lab, &one.key, &[&long, "*.example", "b.example"]).unwrap();
        assert!(own.key.contains("PRIVATE KEY") && own.certificate != one.certificate);
        assert!(signed(&lab, &one.certificate, &["a.example"]).unwrap_err().contains("cannot be made"));
        assert!(signed(&lab, &one.key, &["ä.example"]).is_err());
    }
}
