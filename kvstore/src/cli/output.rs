//! Standard output.

use std::io::{self, ErrorKind, Write};

use super::failure::Failure;

/// Writes to standard output. A reader who has had enough (`niagara status | head -1`) is no failure: the exit status
/// still says how the command itself went.
pub fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    print_to(&mut io::stdout().lock(), bytes.as_ref())
}

fn print_to(output: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write the output: {error}"), "check where standard output goes"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that cannot be written to.
    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        assert!(print_to(&mut Broken(ErrorKind::BrokenPipe), b"text").is_ok());
        assert!(print_to(&mut Broken(ErrorKind::StorageFull), b"text").is_err());
    }
}
