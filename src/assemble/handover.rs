//! From one process to the next: the listening sockets themselves, so that no connection is ever
//! refused or lost in a queue that is closed.
//!
//! The process that serves an address waits for its successor at an abstract Unix address. The
//! successor gets the sockets (`SCM_RIGHTS`), starts, says that it accepts connections, and only
//! then does the first one stop. A successor that fails before changes nothing. Both sides talk to
//! processes of their own user only.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

/// How often it is looked whether an earlier process has left the place where successors ask.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a process that has just started to serve may take until successors can ask it.
const THERE_WITHIN: Duration = Duration::from_secs(1);

/// How long a successor may take to start.
const START_WITHIN: Duration = Duration::from_mins(5);

/// What a successor says when it accepts connections.
const READY: u8 = b'r';

/// The most sockets that are handed over: traffic, the way to https, the admin listener.
const SOCKETS: usize = 3;

/// The process that serves now, waiting for this one.
#[derive(Debug)]
pub(super) struct Predecessor(UnixStream);

impl Predecessor {
    /// Has it stop: this process accepts connections.
    pub(super) async fn replace(mut self) {
        // An error means that it is gone already.
        let _ = self.0.write_all(&[READY]).await;
    }
}

#[cfg(target_os = "linux")]
fn place(address: SocketAddr) -> Result<net::SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    net::SocketAddr::from_abstract_name(format!("vestibule-handover/{address}"))
}

/// Elsewhere there are no such addresses.
#[cfg(not(target_os = "linux"))]
fn place(_: SocketAddr) -> Result<net::SocketAddr> {
    Err(ErrorKind::Unsupported.into())
}

/// The sockets of the process that serves this address now; none where there is none.
pub(super) async fn ask(address: SocketAddr) -> Result<Option<(Vec<TcpListener>, Predecessor)>> {
    let Some(stream) = connect(address).await? else {
        return Ok(None);
    };
    is_of_same_user(&stream)?;
    let sockets = stream
        .async_io(Interest::READABLE, || receive(stream.as_fd()))
        .await?;
    let sockets = sockets.into_iter().map(TcpListener::from).collect();
    Ok(Some((sockets, Predecessor(stream))))
}

async fn connect(address: SocketAddr) -> Result<Option<UnixStream>> {
    let deadline = Instant::now() + THERE_WITHIN;
    loop {
        match net::UnixStream::connect_addr(&place(address)?) {
            Ok(stream) => {
                stream.set_nonblocking(true)?;
                return UnixStream::from_std(stream).map(Some);
            }
            Err(error) if error.kind() != ErrorKind::ConnectionRefused => return Err(error),
            Err(_) if Instant::now() > deadline => return Ok(None),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Waits until a successor has these sockets and accepts connections on them.
pub(super) async fn wait_for_successor(address: SocketAddr, sockets: Vec<OwnedFd>) {
    let listener = loop {
        match listen(address) {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    loop {
        let outcome = match listener.accept().await {
            Ok((stream, _)) => hand_over(stream, &sockets).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, "nobody took over; this process goes on");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

fn listen(address: SocketAddr) -> Result<UnixListener> {
    let listener = net::UnixListener::bind_addr(&place(address)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

async fn hand_over(mut stream: UnixStream, sockets: &[OwnedFd]) -> Result<()> {
    is_of_same_user(&stream)?;
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    stream
        .async_io(Interest::WRITABLE, || send(stream.as_fd(), &descriptors))
        .await?;
    tracing::info!("the listening sockets are handed over");
    let said = tokio::time::timeout(START_WITHIN, stream.read_u8()).await??;
    (said == READY)
        .then_some(())
        .ok_or(ErrorKind::InvalidData.into())
}

fn is_of_same_user(stream: &UnixStream) -> Result<()> {
    let is_same = stream.peer_cred()?.uid() == geteuid().as_raw();
    is_same.then_some(()).ok_or_else(|| {
        Error::new(
            ErrorKind::PermissionDenied,
            "the other process is another user's",
        )
    })
}

fn send(to: BorrowedFd<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(ErrorKind::InvalidInput.into());
    }
    // Rights travel with at least one octet.
    sendmsg(to, &[IoSlice::new(b"s")], &mut control, SendFlags::empty())?;
    Ok(())
}

fn receive(from: BorrowedFd<'_>) -> Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut octet = [0];
    let mut octets = [IoSliceMut::new(&mut octet)];
    recvmsg(from, &mut octets, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    let sockets: Vec<OwnedFd> = rights.flatten().collect();
    if sockets.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> (SocketAddr, TcpListener) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        (socket.local_addr().unwrap(), socket)
    }

    async fn asked(address: SocketAddr) -> (Vec<TcpListener>, Predecessor) {
        loop {
            if let Some(got) = ask(address).await.unwrap() {
                return got;
            }
        }
    }

    #[tokio::test]
    async fn a_successor_gets_the_sockets_and_the_first_waits_until_it_is_ready() {
        let (address, first) = socket();
        assert!(
            ask(address).await.unwrap().is_none(),
            "nobody serves it yet"
        );
        let waiting = tokio::spawn(wait_for_successor(address, vec![first.into()]));

        let (_, gives_up) = asked(address).await;
        drop(gives_up);
        let (mut sockets, predecessor) = asked(address).await;
        assert!(
            !waiting.is_finished(),
            "the one that gave up changes nothing"
        );
        let socket = sockets.remove(0);
        assert_eq!(socket.local_addr().unwrap(), address);
        predecessor.replace().await;
        waiting.await.unwrap();

        let client = std::net::TcpStream::connect(address).unwrap();
        let (_, peer) = socket.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }
}
