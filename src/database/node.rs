//! Which process of the gateway holds a lease in the database.

use crate::seal;

/// A process, in leases: the place where it runs, which outlives it, and itself.
#[derive(Debug, Clone)]
pub struct Node {
    place: String,
    process: String,
}

impl Node {
    /// A new process at a place; its name there is drawn by chance.
    pub fn at(place: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            process: seal::to_base64(&seal::random_bytes::<9>()),
        }
    }

    /// The owner's name for one lease of this process.
    pub fn new_lease(&self) -> String {
        let one = seal::to_base64(&seal::random_bytes::<9>());
        format!("{}{one}", self.own_leases())
    }

    /// What the owners' names of all leases at this place begin with.
    pub fn leases_here(&self) -> String {
        format!("{}/", self.place)
    }

    /// What the owners' names of this process's leases begin with.
    pub fn own_leases(&self) -> String {
        format!("{}/{}/", self.place, self.process)
    }
}
