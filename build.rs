//! Builds again when a migration is added: the compiler does not see that a folder is read.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
