//! Differences between systems: one module for Unix and one for Windows, with the same functions.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_are_read_and_written_in_the_middle() {
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(b"0123456789").unwrap();
        write_all_at(&file, b"abc", 4).unwrap();
        let mut middle = [0; 4];
        read_exact_at(&file, &mut middle, 3).unwrap();
        assert_eq!(&middle, b"3abc");
        assert!(read_exact_at(&file, &mut middle, 8).is_err(), "past the end");
    }

    #[test]
    fn this_machine_and_its_processes_are_known() {
        assert!(!machine_name().is_empty());
        assert!(process_exists(std::process::id()));
        assert_ne!(free_bytes(&std::env::temp_dir()), Some(0));
        assert_eq!(path_from_bytes("ü.jpg".into()), std::path::Path::new("ü.jpg"));
    }
}
