//! The load balancer in front of several nodes: raw TCP, so that nothing of a request is touched.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Spreads connections over nodes in turn; a node that does not answer is passed over.
pub struct Balancer {
    task: JoinHandle<()>,
}

impl Balancer {
    /// Listens on a port of loopback for the nodes behind it.
    pub async fn start(port: u16, nodes: Vec<u16>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("a free port");
        Self {
            task: tokio::spawn(accept(listener, nodes.into())),
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, nodes: Arc<[u16]>) {
    let turn = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let (nodes, turn) = (Arc::clone(&nodes), Arc::clone(&turn));
        connections.spawn(async move {
            if let Some(mut node) = connect(&nodes, &turn).await {
                let _ = copy_bidirectional(&mut client, &mut node).await;
            }
        });
    }
}

async fn connect(nodes: &[u16], turn: &AtomicUsize) -> Option<TcpStream> {
    for _ in nodes {
        let next = turn.fetch_add(1, Ordering::Relaxed) % nodes.len();
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", nodes[next])).await {
            return Some(stream);
        }
    }
    None
}
