//! Files that are written whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes `path` through `fill`, whole or not at all. A device or a pipe is written directly.
///
/// # Errors
/// If the file cannot be created, written or renamed, and whatever `fill` returns.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let through = |file: &File| {
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        fill(&mut writer).and_then(|()| writer.flush()).map_err(Error::io(path, "write"))
    };
    if path.exists() && !path.is_file() && !path.is_dir() {
        return through(&File::options().write(true).open(path).map_err(Error::io(path, "write"))?);
    }
    replace(path, through)
}

/// Makes a regular file through `fill`: under a temporary name in the same folder, renamed when all of it is on its way to
/// the disk. If anything fails, what stood under `path` before still stands there.
///
/// # Errors
/// As [`write()`].
pub fn replace(path: &Path, fill: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    if path.is_dir() {
        return Err(Error::file(path, "is a folder; the name of a file is wanted"));
    }
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(".unfenced-");
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as any new file
    let file = temporary.tempfile_in(folder_of(path)).map_err(Error::io(path, "create"))?;
    fill(file.as_file())?;
    file.as_file().sync_all().map_err(Error::io(path, "write"))?;
    file.persist(target_of(path)).map_err(|error| error.error).map_err(Error::io(path, "write"))?;
    Ok(())
}

/// The folder in which a file is written, and in which what must not outlive its writing may be put.
pub fn folder_of(path: &Path) -> PathBuf {
    let target = target_of(path);
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// A link is followed, so that what it points to is replaced and not the link, even if nothing is there yet.
fn target_of(path: &Path) -> PathBuf {
    let pointed_at = || Some(path.parent()?.join(std::fs::read_link(path).ok()?));
    std::fs::canonicalize(path).ok().or_else(pointed_at).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("precious");
        write(&path, |out| out.write_all(b"old")).expect("written");
        let failed = write(&path, |out| {
            out.write_all(b"new, but")?;
            Err(std::io::Error::other("no more room"))
        });
        assert!(failed.expect_err("fails").to_string().ends_with("cannot write: no more room"));
        assert_eq!(std::fs::read(&path).expect("still there"), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_and_stays_a_device() {
        let full = Path::new("/dev/full");
        assert!(write(full, |out| out.write_all(&[7; 10_000])).is_err());
        assert!(full.exists() && !full.is_file());
    }
}
