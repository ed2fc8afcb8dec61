//! The PROXY protocol: what a balancer says, before anything else, of whom it passes a connection
//! on for (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>), versions 1 and 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncReadExt};

/// How version 2 begins (section 2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, with its end (section 2.1).
const LONGEST_LINE: usize = 107;

/// Addresses and further values of version 2 that are read, octets; what balancers send is far less.
const LARGEST_BLOCK: usize = 4 * 1024;

/// Why a connection is not taken from a balancer.
#[derive(Debug, thiserror::Error)]
pub enum ProxyHeaderProblem {
    /// It begins with something else.
    #[error("it does not begin with a PROXY header")]
    Absent,
    /// What follows is not as the protocol says.
    #[error("its PROXY header cannot be understood")]
    Malformed,
    /// It is longer than any balancer's.
    #[error("its PROXY header is too long")]
    TooLong,
    /// The connection broke off.
    #[error("its PROXY header is not complete")]
    BrokenOff(#[from] std::io::Error),
}

/// Reads a PROXY header and nothing behind it: the client's address, or none where the balancer
/// speaks for itself, as it does to see whether the gateway is there.
pub async fn read_proxy_header(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Option<IpAddr>, ProxyHeaderProblem> {
    let mut start = [0; SIGNATURE.len()];
    from.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return read_block(from).await;
    }
    let mut line = start.to_vec();
    if !line.starts_with(b"PROXY ") {
        return Err(ProxyHeaderProblem::Absent);
    }
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST_LINE {
            return Err(ProxyHeaderProblem::TooLong);
        }
        line.push(from.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| ProxyHeaderProblem::Malformed)?;
    client_in_line(line.trim_end_matches("\r\n"))
}

/// Version 1, without the line's end.
fn client_in_line(line: &str) -> Result<Option<IpAddr>, ProxyHeaderProblem> {
    let words: Vec<&str> = line.split(' ').collect();
    match *words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4", from, to, from_port, to_port] => {
            let client = address::<Ipv4Addr>(from, from_port)?;
            address::<Ipv4Addr>(to, to_port)?;
            Ok(Some(client.into()))
        }
        ["PROXY", "TCP6", from, to, from_port, to_port] => {
            let client = address::<Ipv6Addr>(from, from_port)?;
            address::<Ipv6Addr>(to, to_port)?;
            Ok(Some(IpAddr::from(client).to_canonical()))
        }
        _ => Err(ProxyHeaderProblem::Malformed),
    }
}

fn address<A: FromStr>(address: &str, port: &str) -> Result<A, ProxyHeaderProblem> {
    let is_number = port.bytes().all(|octet| octet.is_ascii_digit());
    if !is_number || port.parse::<u16>().is_err() {
        return Err(ProxyHeaderProblem::Malformed);
    }
    address.parse().map_err(|_| ProxyHeaderProblem::Malformed)
}

/// Version 2, behind its signature.
async fn read_block(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Option<IpAddr>, ProxyHeaderProblem> {
    let command = from.read_u8().await?;
    let family = from.read_u8().await?;
    let length = usize::from(from.read_u16().await?);
    if length > LARGEST_BLOCK {
        return Err(ProxyHeaderProblem::TooLong);
    }
    let mut block = vec![0; length];
    from.read_exact(&mut block).await?;
    client_in_block(command, family, &block)
}

/// Version 2: version and command, family and transport, addresses. What follows them says nothing
/// that counts here.
fn client_in_block(
    command: u8,
    family: u8,
    block: &[u8],
) -> Result<Option<IpAddr>, ProxyHeaderProblem> {
    match (command, family) {
        (0x20, _) | (0x21, 0x00) => Ok(None),
        (0x21, 0x11) => client_before::<4, 12>(block).map(Some),
        (0x21, 0x21) => client_before::<16, 36>(block).map(Some),
        _ => Err(ProxyHeaderProblem::Malformed),
    }
}

/// The client's address of so many octets, first of addresses and ports that have so many in all.
fn client_before<const OCTETS: usize, const ALL: usize>(
    block: &[u8],
) -> Result<IpAddr, ProxyHeaderProblem>
where
    IpAddr: From<[u8; OCTETS]>,
{
    let addresses = block.first_chunk::<ALL>();
    let client = addresses.and_then(|all| all.first_chunk::<OCTETS>());
    let client = client.ok_or(ProxyHeaderProblem::Malformed)?;
    Ok(IpAddr::from(*client).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    async fn read(mut octets: &[u8]) -> Result<(Option<String>, usize), String> {
        let client = read_proxy_header(&mut octets).await;
        let client = client.map_err(|problem| problem.to_string())?;
        Ok((client.map(|client| client.to_string()), octets.len()))
    }

    fn block(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, addresses].concat()
    }

    #[tokio::test]
    async fn a_line_names_the_client_and_ends_there() {
        for (line, client) in [
            ("PROXY TCP4 192.0.2.7 10.0.0.1 5000 443", Some("192.0.2.7")),
            ("PROXY TCP6 2001:db8::7 ::1 5000 443", Some("2001:db8::7")),
            ("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2", Some("192.0.2.7")),
            ("PROXY UNKNOWN", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2", None),
        ] {
            let octets = format!("{line}\r\nGET /");
            let expected = (client.map(str::to_owned), 5);
            assert_eq!(read(octets.as_bytes()).await.unwrap(), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn a_line_in_doubt_is_refused() {
        for line in [
            "PROXY TCP4 192.0.2.7 10.0.0.1 5000",
            "PROXY TCP4 192.0.2.7 10.0.0.1 5000 443 ",
            "PROXY TCP4  192.0.2.7 10.0.0.1 5000 443",
            "PROXY TCP4 192.0.2.07 10.0.0.1 5000 443",
            "PROXY TCP4 192.0.2.7 10.0.0.1 +5000 443",
            "PROXY TCP4 192.0.2.7 10.0.0.1 5000 65536",
            "PROXY TCP4 2001:db8::7 ::1 5000 443",
            "PROXY TCP6 192.0.2.7 10.0.0.1 5000 443",
            "PROXY UDP4 192.0.2.7 10.0.0.1 5000 443",
            "PROXY unknown",
            "PROXY \u{fc}nknown",
        ] {
            let refused = read(format!("{line}\r\n").as_bytes()).await.unwrap_err();
            assert!(refused.contains("understood"), "{line}: {refused}");
        }
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
        assert!(read(endless.as_bytes()).await.unwrap_err().contains("long"));
        for other in [
            "GET / HTTP/1.1\r\n",
            "proxy tcp4 1.2.3.4 ",
            "\x16\x03\x01\x02\0\x01\0\x01\0\0\0\0",
        ] {
            let refused = read(other.as_bytes()).await.unwrap_err();
            assert!(refused.contains("begin"), "{other}: {refused}");
        }
        assert!(
            read(b"PROXY TCP4 1.2")
                .await
                .unwrap_err()
                .contains("complete")
        );
    }

    #[tokio::test]
    async fn a_block_names_the_client_and_what_follows_the_addresses_is_passed_over() {
        let of_version_4 = [192, 0, 2, 7, 10, 0, 0, 1, 0, 80, 1, 187];
        let with_more = [&of_version_4[..], &[4, 0, 1, 0]].concat();
        for addresses in [&of_version_4[..], &with_more] {
            let octets = [block(0x21, 0x11, addresses), b"GET /".to_vec()].concat();
            let expected = (Some("192.0.2.7".to_owned()), 5);
            assert_eq!(read(&octets).await.unwrap(), expected);
        }
        let mut of_version_6 = [0; 36];
        of_version_6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        let client = read(&block(0x21, 0x21, &of_version_6)).await.unwrap().0;
        assert_eq!(client.as_deref(), Some("2001:db8::7"));
        for itself in [
            block(0x20, 0x00, &[]),
            block(0x20, 0x11, &of_version_4),
            block(0x21, 0, &[]),
        ] {
            assert_eq!(read(&itself).await.unwrap().0, None);
        }
    }

    #[tokio::test]
    async fn a_block_in_doubt_is_refused() {
        for octets in [
            block(0x21, 0x11, &[0; 11]),
            block(0x21, 0x21, &[0; 35]),
            block(0x21, 0x12, &[0; 12]),
            block(0x21, 0x31, &[0; 216]),
            block(0x22, 0x11, &[0; 12]),
            block(0x11, 0x11, &[0; 12]),
        ] {
            let refused = read(&octets).await.unwrap_err();
            assert!(refused.contains("understood"), "{octets:?}: {refused}");
        }
        let large = block(0x21, 0x11, &[0; 5000]);
        assert!(read(&large).await.unwrap_err().contains("long"));
        let short = &block(0x21, 0x11, &[0; 12])[..20];
        assert!(read(short).await.unwrap_err().contains("complete"));
    }
    #[test]
    fn fuzzed_headers_are_read_to_their_end_and_no_further() {
        let fuzz = crate::fuzz::Fuzz {
            name: "proxy_headers",
            corpus: include_str!("../../tests/fuzz/corpus/proxy_headers.txt"),
            words: &[
                "PROXY TCP4 ",
                "PROXY TCP6 ",
                "PROXY UNKNOWN",
                "192.0.2.7 ",
                "::1 ",
                " 443\r\n",
                "\r\n\r\n\0\r\nQUIT\n",
                "\x21\x11\0\x0c",
                "\x21\x21\0\x24",
            ],
        };
        fuzz.run(|octets| {
            let read = |octets: &[u8]| read(octets).now_or_never().expect("nobody is waited for");
            let found = read(octets);
            if let Ok((client, left)) = &found {
                let (header, rest) = octets.split_at(octets.len() - left);
                // As long as it says of itself.
                if header.starts_with(&SIGNATURE) {
                    let length = u16::from_be_bytes([header[14], header[15]]);
                    assert_eq!(header.len(), 16 + usize::from(length));
                } else {
                    let line = header.strip_suffix(b"\r\n").expect("a line");
                    assert!(line.starts_with(b"PROXY ") && header.len() <= LONGEST_LINE);
                    assert!(!line.windows(2).any(|end| end == b"\r\n"));
                }
                // What follows says nothing, and less than all of it is nothing.
                let with_more = [header, b"PROXY TCP4 203.0.113.9 ", rest].concat();
                assert_eq!(read(&with_more).unwrap().0, *client);
                assert!(read(&header[..header.len() - 1]).is_err());
            }
            found.map(|(client, left)| (client.map(|client| client.len()), left.min(2)))
        });
    }
}
