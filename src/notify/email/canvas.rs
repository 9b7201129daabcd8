//! Lines, dots and shades as the bytes of a PNG, on nothing: the mail's own background, light or dark, shows through.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// A place, in pixels from the upper left corner.
pub(super) type Point = (f64, f64);

/// Colours that can be seen on white and on black.
pub(super) const LOSS: [u8; 3] = [0xd9, 0x48, 0x3b];
pub(super) const PRICE: [u8; 3] = [0x4a, 0x86, 0xc5];
pub(super) const AXIS: [u8; 3] = [0x8a, 0x94, 0x9b];
/// How much of a shade covers.
const SHADE: u8 = 0x2e;

/// What is drawn on.
pub(super) struct Canvas {
    width: usize,
    pixels: Vec<[u8; 4]>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Canvas { width, pixels: vec![[0; 4]; width * height] }
    }

    /// Draws straight lines from point to point, `radius` thick to each side.
    pub(super) fn line(&mut self, points: &[Point], radius: f64, colour: [u8; 3]) {
        for pair in points.windows(2) {
            self.stroke(pair[0], pair[1], radius, colour);
        }
    }

    pub(super) fn dot(&mut self, at: Point, radius: f64, colour: [u8; 3]) {
        self.stroke(at, at, radius, colour);
    }

    /// Shades what lies between steps and a floor.
    pub(super) fn shade(&mut self, steps: &[Point], floor: f64, colour: [u8; 3]) {
        for pair in steps.windows(2) {
            let ((from, top), (until, _)) = (pair[0], pair[1]);
            for x in pixel(from)..pixel(until) {
                for y in pixel(top)..pixel(floor) {
                    self.cover(x, y, colour, SHADE);
                }
            }
        }
    }

    fn stroke(&mut self, from: Point, to: Point, radius: f64, colour: [u8; 3]) {
        let reach = radius + 1.0;
        let (left, right) = (from.0.min(to.0) - reach, from.0.max(to.0) + reach);
        let (top, bottom) = (from.1.min(to.1) - reach, from.1.max(to.1) + reach);
        for y in pixel(top)..pixel(bottom) + 1 {
            for x in pixel(left)..pixel(right) + 1 {
                let cover = (radius + 0.5 - distance((x as f64 + 0.5, y as f64 + 0.5), from, to)).clamp(0.0, 1.0);
                self.cover(x, y, colour, (cover * 255.0) as u8);
            }
        }
    }

    /// Colours a pixel, unless it is covered more already.
    fn cover(&mut self, x: usize, y: usize, [red, green, blue]: [u8; 3], cover: u8) {
        let place = y * self.width + x;
        if x < self.width
            && let Some(pixel) = self.pixels.get_mut(place).filter(|pixel| pixel[3] <= cover)
            && cover > 0
        {
            *pixel = [red, green, blue, cover];
        }
    }

    /// Returns a PNG (<https://www.w3.org/TR/png-3/>): eight bits a channel, with transparency, no filter.
    pub(super) fn png(&self) -> Option<Vec<u8>> {
        let mut pixels = ZlibEncoder::new(Vec::new(), Compression::default());
        for row in self.pixels.chunks(self.width) {
            pixels.write_all(&[0]).ok()?;
            pixels.write_all(row.as_flattened()).ok()?;
        }
        let pixels = pixels.finish().ok()?;
        let mut head = Vec::new();
        head.extend_from_slice(&u32::try_from(self.width).ok()?.to_be_bytes());
        head.extend_from_slice(&u32::try_from(self.pixels.len() / self.width.max(1)).ok()?.to_be_bytes());
        head.extend_from_slice(&[8, 6, 0, 0, 0]);
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        for (name, bytes) in [(b"IHDR", head), (b"IDAT", pixels), (b"IEND", Vec::new())] {
            png.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_be_bytes());
            png.extend_from_slice(name);
            png.extend_from_slice(&bytes);
            let mut sum = flate2::Crc::new();
            sum.update(name);
            sum.update(&bytes);
            png.extend_from_slice(&sum.sum().to_be_bytes());
        }
        Some(png)
    }
}

/// How far a point is from the straight line between two.
fn distance(at: Point, from: Point, to: Point) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((at.0 - from.0) * dx + (at.1 - from.1) * dy) / length } else { 0.0 }.clamp(0.0, 1.0);
    (at.0 - from.0 - along * dx).hypot(at.1 - from.1 - along * dy)
}

/// The pixel of a coordinate; a number that is none is the first.
fn pixel(coordinate: f64) -> usize {
    coordinate.clamp(0.0, 1e5) as usize
}

/// Reads a PNG back: its width, height and pixels. Each part's sum is checked.
#[cfg(test)]
pub(super) fn read(png: &[u8]) -> (usize, usize, Vec<[u8; 4]>) {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let (mut rest, mut names, mut size, mut packed) = (&png[8..], Vec::new(), (0, 0), Vec::new());
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (name, bytes) = (&rest[4..8], &rest[8..8 + length]);
        let mut sum = flate2::Crc::new();
        sum.update(&rest[4..8 + length]);
        assert_eq!(sum.sum().to_be_bytes(), rest[8 + length..12 + length]);
        let number = |place: usize| u32::from_be_bytes(bytes[place..place + 4].try_into().unwrap()) as usize;
        match name {
            b"IHDR" => size = (number(0), number(4)),
            b"IDAT" => packed.extend_from_slice(bytes),
            _ => {}
        }
        names.push(String::from_utf8(name.to_vec()).unwrap());
        rest = &rest[12 + length..];
    }
    assert_eq!(names, ["IHDR", "IDAT", "IEND"]);
    let mut raw = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&packed[..]), &mut raw).unwrap();
    let row = 1 + 4 * size.0;
    assert_eq!(raw.len(), row * size.1);
    let pixels = raw.chunks(row).flat_map(|row| row[1..].chunks(4).map(|pixel| pixel.try_into().unwrap()));
    (size.0, size.1, pixels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_left_out_and_a_number_that_is_none_breaks_nothing() {
        let mut canvas = Canvas::new(20, 10);
        canvas.line(&[(-50.0, 5.0), (50.0, 5.0)], 1.0, LOSS);
        canvas.dot((f64::NAN, f64::INFINITY), 3.0, PRICE);
        canvas.dot((1e300, -1e300), 3.0, PRICE);
        let (width, height, pixels) = read(&canvas.png().unwrap());
        assert_eq!((width, height), (20, 10));
        assert!((0..20).all(|x| pixels[5 * 20 + x] == [LOSS[0], LOSS[1], LOSS[2], 255]));
        assert!((0..20).all(|x| pixels[x][3] == 0));
    }
}
