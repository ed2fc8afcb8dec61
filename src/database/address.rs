//! Where a database is, and where a part of the installation has one of its own.

use std::path::PathBuf;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseAddress {
    /// `sqlite://path`.
    Sqlite(PathBuf),
    /// `postgres://user:password@host/name`, with the password already filled in.
    Postgres(String),
}

impl DatabaseAddress {
    /// Where a part of the installation keeps what is its own: a file of its own beside this one,
    /// or a schema of its own, `vestibule_<name>`, in the same PostgreSQL database.
    #[must_use]
    pub fn of_part(&self, name: &str) -> Self {
        match self {
            Self::Sqlite(path) => {
                let mut file = path.file_stem().unwrap_or_default().to_owned();
                file.push(format!("-{name}"));
                if let Some(extension) = path.extension() {
                    file.push(".");
                    file.push(extension);
                }
                Self::Sqlite(path.with_file_name(file))
            }
            Self::Postgres(url) => {
                let start = if url.contains('?') { '&' } else { '?' };
                let schema = schema_of(name);
                Self::Postgres(format!("{url}{start}options%5Bsearch_path%5D={schema}"))
            }
        }
    }

    /// Whether anything may be there: a file that nobody made yet is not, of a server nothing is
    /// known.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Sqlite(path) => path.is_file(),
            Self::Postgres(_) => true,
        }
    }
}

/// Names have `-`, which unquoted names in SQL have not.
fn schema_of(name: &str) -> String {
    format!("vestibule_{}", name.replace('-', "_"))
}

/// Without the address of a server, which holds its password.
impl std::fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
        }
    }
}
