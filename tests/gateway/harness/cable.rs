//! The cable between the gateway and a store: it can be cut, and it can fall silent.

use std::time::Duration;

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch::{self, Receiver, Sender},
    task::{JoinHandle, JoinSet},
};

/// One cable, gone with the value.
pub struct Cable {
    port: u16,
    state: Sender<State>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    is_silent: bool,
    /// Connections of an earlier one are cut.
    era: u64,
    cut: Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// By a reset.
    Reset,
    /// As a server closes connections that are idle.
    End,
}

impl Cable {
    /// A sound cable to a server on a port of loopback.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (state, now) = watch::channel(State {
            is_silent: false,
            era: 0,
            cut: Cut::End,
        });
        let task = tokio::spawn(accept(listener, server, now));
        Self { port, state, task }
    }

    /// The port of its near end.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes, either way, and nobody is told; connections can still be made.
    pub fn falls_silent(&self) {
        self.state.send_modify(|state| state.is_silent = true);
    }

    /// What was held back passes, and everything after it.
    pub fn speaks_again(&self) {
        self.state.send_modify(|state| state.is_silent = false);
    }

    /// Resets every connection that there is.
    pub fn resets(&self) {
        self.cuts(Cut::Reset);
    }

    /// Ends every connection that there is, politely.
    pub fn ends_connections(&self) {
        self.cuts(Cut::End);
    }

    fn cuts(&self, cut: Cut) {
        self.state.send_modify(|state| {
            state.era += 1;
            state.cut = cut;
        });
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: u16, state: Receiver<State>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        if let Ok(far) = TcpStream::connect(("127.0.0.1", server)).await {
            connections.spawn(carry(near, far, state.clone()));
        }
    }
}

async fn carry(mut near: TcpStream, mut far: TcpStream, mut state: Receiver<State>) {
    let era = state.borrow().era;
    let (mut there, mut back) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        let now = *state.borrow_and_update();
        if now.era != era {
            if now.cut == Cut::Reset {
                for stream in [&near, &far] {
                    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
                }
            }
            return;
        }
        let passed = tokio::select! {
            changed = state.changed() => changed.is_ok(),
            read = near.read(&mut there), if !now.is_silent => pass(read, &there, &mut far).await,
            read = far.read(&mut back), if !now.is_silent => pass(read, &back, &mut near).await,
        };
        if !passed {
            return;
        }
    }
}

async fn pass(read: std::io::Result<usize>, octets: &[u8], to: &mut TcpStream) -> bool {
    match read {
        Ok(length @ 1..) => to.write_all(&octets[..length]).await.is_ok(),
        Ok(0) | Err(_) => false,
    }
}
