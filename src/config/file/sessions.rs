//! Where sessions are, if not in the database: the part of `[store]` that is an address or a table.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::operator_file::At;

/// One server by its address, or several servers by a table.
#[derive(Debug)]
pub enum Sessions {
    /// `redis://…` or `rediss://…`.
    Server(String),
    /// Servers that sentinels watch, or a Cluster.
    Servers(SessionsTable),
}

/// Servers that sentinels watch, or a Cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionsTable {
    /// The addresses of the sentinels.
    pub sentinels: Option<Vec<At<String>>>,
    /// What they call the master.
    pub master: Option<At<String>>,
    /// The user at the master, where it is not the default one.
    pub user: Option<At<String>>,
    /// The addresses of some nodes of a Cluster; they name the others.
    pub cluster: Option<Vec<At<String>>>,
}

impl<'de> Deserialize<'de> for Sessions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AddressOrTable)
    }
}

struct AddressOrTable;

impl<'de> Visitor<'de> for AddressOrTable {
    type Value = Sessions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, or a table with `sentinels` or `cluster`")
    }

    fn visit_str<E>(self, address: &str) -> Result<Self::Value, E> {
        Ok(Sessions::Server(address.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
        SessionsTable::deserialize(MapAccessDeserializer::new(table)).map(Sessions::Servers)
    }
}

impl JsonSchema for Sessions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Sessions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<SessionsTable>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}
