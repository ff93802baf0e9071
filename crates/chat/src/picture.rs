//! Small versions of pictures, made without trusting them: size, pixels and memory are bounded before anything is decoded.

use bytes::Bytes;
use image::{ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// Larger files get no small version.
pub(crate) const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Wider or higher pictures get none either.
const MOST_PIXELS_A_SIDE: u32 = 12_000;
/// Memory for decoding one.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;
/// The small version fits in a square of this many pixels.
const SIDE: u32 = 320;

/// A small version, with the size of the original.
pub(crate) struct Small {
    pub(crate) png: Bytes,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Whether files of this type are shown as pictures.
pub(crate) fn is_shown(media_type: &str) -> bool {
    format(media_type).is_some()
}

fn format(media_type: &str) -> Option<ImageFormat> {
    match media_type {
        "image/png" => Some(ImageFormat::Png),
        "image/jpeg" => Some(ImageFormat::Jpeg),
        "image/gif" => Some(ImageFormat::Gif),
        "image/webp" => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// Makes the small version, beside the event loop and one at a time; `None` if the picture cannot be read within the limits.
pub(crate) async fn small(bytes: Bytes, media_type: &'static str) -> Option<Small> {
    static TURNS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);
    let turn = TURNS.acquire().await.ok()?;
    let made = tokio::task::spawn_blocking(move || make(&bytes, media_type)).await.ok().flatten();
    drop(turn);
    made
}

fn make(bytes: &[u8], media_type: &str) -> Option<Small> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format(media_type)?);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS_A_SIDE);
    limits.max_image_height = Some(MOST_PIXELS_A_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let (width, height) = (picture.width(), picture.height());
    let small = if width > SIDE || height > SIDE { picture.thumbnail(SIDE, SIDE) } else { picture };
    let mut png = Vec::new();
    small.to_rgba8().write_to(&mut Cursor::new(&mut png), ImageFormat::Png).ok()?;
    Some(Small { png: png.into(), width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_picture_is_made_small_and_its_size_told() {
        let mut png = Vec::new();
        image::RgbaImage::new(1000, 500).write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
        let made = small(png.into(), "image/png").await.unwrap();
        assert_eq!((made.width, made.height), (1000, 500));
        let again = image::load_from_memory(&made.png).unwrap();
        assert_eq!((again.width(), again.height()), (320, 160));
    }

    #[tokio::test]
    async fn what_is_no_picture_gets_none() {
        assert!(small(Bytes::from_static(b"\x89PNG\r\n\x1a\nrubbish"), "image/png").await.is_none());
        assert!(small(Bytes::from_static(b"x"), "text/plain").await.is_none());
    }
}
