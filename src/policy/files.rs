//! The policy folder as it is read, before anything is made of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::operator_file::{Problem, Problems, SourceFile};
use crate::seal;
use crate::spelling::closest;

/// A logo larger than this makes every first page slow.
const LARGEST_LOGO: u64 = 100 * 1024;

const KNOWN: [&str; 3] = ["access.toml", "onboarding.toml", "limits.toml"];

/// What ships with the gateway and holds where a file is missing.
const SHIPPED: [(&str, &str); 4] = [
    ("access.toml", include_str!("../../policies/access.toml")),
    (
        "onboarding.toml",
        include_str!("../../policies/onboarding.toml"),
    ),
    ("limits.toml", include_str!("../../policies/limits.toml")),
    (
        "signup/default.toml",
        include_str!("../../policies/signup/default.toml"),
    ),
];

/// All files of a policy folder.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// Every TOML and Markdown file by its path in the folder; shipped ones where missing.
    texts: BTreeMap<String, SourceFile>,
    /// Every logo by its path in the folder.
    pub(super) logos: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// Reads a folder. A missing folder is one with nothing but the shipped files.
    pub fn read(folder: &Path, problems: &mut Problems) -> Self {
        let mut files = Self {
            folder: folder.to_owned(),
            texts: BTreeMap::new(),
            logos: BTreeMap::new(),
        };
        for name in files.listed("", "toml", problems) {
            if KNOWN.contains(&name.as_str()) {
                files.take(&name, problems);
            } else {
                let advice = match closest(&name, KNOWN) {
                    Some(known) => format!("rename it to `{known}`, or remove it"),
                    None => format!("there are {}", KNOWN.map(|n| format!("`{n}`")).join(", ")),
                };
                let path = folder.join(&name);
                problems.add(Problem::of_file(&path, "unknown policy file", advice));
            }
        }
        for (below, kind) in [("signup", "toml"), ("agreements", "md")] {
            for name in files.listed(below, kind, problems) {
                files.take(&name, problems);
            }
        }
        for kind in ["svg", "png", "webp"] {
            for name in files.listed("signup", kind, problems) {
                files.take_logo(&name, problems);
            }
        }
        for (name, text) in SHIPPED {
            let shipped = || SourceFile::new(folder.join(name), text);
            files.texts.entry(name.to_owned()).or_insert_with(shipped);
        }
        files
    }

    /// The file of this name; all shipped names have one.
    pub fn text(&self, name: &str) -> Option<&SourceFile> {
        self.texts.get(name)
    }

    /// All files in a folder below, with their names there.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a SourceFile)> {
        let prefix = format!("{folder}/");
        self.texts.iter().filter_map(move |(name, file)| {
            name.strip_prefix(prefix.as_str()).map(|name| (name, file))
        })
    }

    /// A digest of all files.
    pub fn version(&self) -> String {
        let mut all = Vec::new();
        for (name, file) in &self.texts {
            all.extend_from_slice(seal::digest(file.text.as_bytes()).as_bytes());
            all.extend_from_slice(name.as_bytes());
        }
        for (name, bytes) in &self.logos {
            all.extend_from_slice(seal::digest(bytes).as_bytes());
            all.extend_from_slice(name.as_bytes());
        }
        seal::digest(&all).chars().take(12).collect()
    }

    fn listed(&self, below: &str, kind: &str, problems: &mut Problems) -> Vec<String> {
        let folder = self.folder.join(below);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                let message = format!("the folder cannot be read: {error}");
                let advice = "let the gateway's user read it";
                problems.add(Problem::of_file(&folder, message, advice));
                return Vec::new();
            }
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| Path::new(name).extension().is_some_and(|own| own == kind))
            .filter(|name| !name.starts_with('.'))
            .map(|name| match below {
                "" => name,
                below => format!("{below}/{name}"),
            })
            .collect();
        names.sort();
        names
    }

    fn take(&mut self, name: &str, problems: &mut Problems) {
        if let Some(file) = SourceFile::read(&self.folder.join(name), problems) {
            self.texts.insert(name.to_owned(), file);
        }
    }

    fn take_logo(&mut self, name: &str, problems: &mut Problems) {
        let path = self.folder.join(name);
        let is_small = std::fs::metadata(&path).is_ok_and(|file| file.len() <= LARGEST_LOGO);
        match std::fs::read(&path).ok().filter(|_| is_small) {
            Some(bytes) => {
                self.logos.insert(name.to_owned(), bytes);
            }
            None => problems.add(Problem::of_file(
                &path,
                "the logo cannot be read or is larger than 100 KiB",
                "give a smaller picture",
            )),
        }
    }
}
