//! The integration tests, in one binary: they run the real program, or the real engine over a disk that forgets.

mod batch_size;
mod command_line;
mod conformance;
mod contained;
mod corpus;
mod documents;
mod examples;
mod failing_disk;
mod grammar;
mod hints;
mod kill;
mod limits;
mod on_disk_format;
mod oracle;
mod power_cut;
mod real_data;
mod resume;
mod serving;
mod storage_faults;
mod sync_order;

/// A folder of what is kept beside the project, if it is there.
fn shared(name: &str) -> Option<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if !folder.is_dir() {
        println!("skipped: there is no folder {}", folder.display());
        return None;
    }
    Some(folder)
}
