//! The binary: arguments to the library, and nothing else.

fn main() -> std::process::ExitCode {
    tidemill::cli::main()
}
