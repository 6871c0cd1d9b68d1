package picture

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color"
	// LivePerson takes these three and no other ("File Sharing" page).
	_ "image/gif"
	"image/jpeg"
	_ "image/png"

	"golang.org/x/image/draw"
)

const (
	// maxPixels refuses what unpacks to far more than it weighs: a few hundred
	// kilobytes can claim a picture that fills the memory of whoever opens it.
	maxPixels = 25_000_000
	// maxDecoded is the memory one preview may take. A picture that needs more is
	// sent without.
	maxDecoded = 128 << 20
	// maxPreviewBytes is the most a preview may weigh before base64 makes it a
	// third longer: LivePerson takes 30 KB of data URI ("File Sharing" page).
	maxPreviewBytes = 22_000
	previewPrefix   = "data:image/jpeg;base64,"
)

var (
	// previewSides are the longer sides to try, in pixels, and previewQualities
	// the JPEG qualities for each.
	previewSides     = []int{480, 320, 240, 160, 100}
	previewQualities = []int{80, 60, 40}
)

// pictureTypes are LivePerson's names of the formats it takes.
var pictureTypes = map[string]string{"jpeg": "JPG", "png": "PNG", "gif": "GIF"}

// File is one that LivePerson takes from a consumer: a picture, or a document
// where the account takes them.
type File struct {
	Data []byte
	// FileType is LivePerson's name of the format.
	FileType string
	document bool
	config   image.Config
	exif     jpegMarks
}

// readPicture decides by the bytes what a file is. The reason is empty when it
// is a picture that can be sent.
func readPicture(data []byte) (p *File, reason Reason) {
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	switch {
	case err != nil:
		return nil, notTakenType
	case pictureTypes[format] == "" || config.Width < 1 || config.Height < 1:
		return nil, notTakenType
	case config.Width > maxPixels/config.Height:
		return nil, tooManyPixels
	}
	p = &File{Data: data, FileType: pictureTypes[format], config: config}
	if format == "jpeg" {
		p.exif = readJPEGMarks(data)
	}
	return p, ""
}

// decodedBytes is about how much memory the decoder takes.
func (p *File) decodedBytes() int {
	perPixel := 8
	switch p.config.ColorModel {
	case color.GrayModel:
		perPixel = 1
	case color.Gray16Model:
		perPixel = 2
	case color.YCbCrModel:
		perPixel = 3
	case color.RGBAModel, color.NRGBAModel, color.CMYKModel:
		perPixel = 4
	}
	if _, indexed := p.config.ColorModel.(color.Palette); indexed {
		perPixel = 1
	}
	if p.exif.progressive {
		// The decoder keeps four bytes more of every sample until the last scan.
		perPixel *= 5
	}
	return p.config.Width * p.config.Height * perPixel
}

// Previews makes previews one at a time, for each may take much memory.
type Previews struct{ slot chan struct{} }

// NewPreviews makes a maker of previews.
func NewPreviews() *Previews { return &Previews{make(chan struct{}, 1)} }

// Of makes a small JPEG of a picture as a data URI. It is empty for a picture
// that cannot be decoded or would take too much memory, for a document, and when ctx
// ends while others are made: a preview is optional ("File Sharing" page).
func (s *Previews) Of(ctx context.Context, p *File) string {
	if p.document || p.decodedBytes() > maxDecoded {
		return ""
	}
	select {
	case s.slot <- struct{}{}:
		defer func() { <-s.slot }()
	case <-ctx.Done():
		return ""
	}
	whole, _, err := image.Decode(bytes.NewReader(p.Data))
	if err != nil || whole.Bounds().Empty() {
		return ""
	}
	small := shrink(whole, previewSides[0])
	for _, side := range previewSides {
		upright := turned(onWhite(small, side), p.exif.orientation)
		for _, quality := range previewQualities {
			var out bytes.Buffer
			if err := jpeg.Encode(&out, upright, &jpeg.Options{Quality: quality}); err != nil {
				return ""
			}
			if out.Len() <= maxPreviewBytes {
				return previewPrefix + base64.StdEncoding.EncodeToString(out.Bytes())
			}
		}
	}
	return ""
}

// shrink brings a large picture near a size by a quick method, so that the good
// one has less to do.
func shrink(whole image.Image, side int) image.Image {
	bounds := whole.Bounds()
	near := fit(bounds.Size(), 2*side)
	if near == bounds.Size() {
		return whole
	}
	out := image.NewRGBA(image.Rectangle{Max: near})
	draw.ApproxBiLinear.Scale(out, out.Bounds(), whole, bounds, draw.Src, nil)
	return out
}

// onWhite scales a picture down to a side and gives it a ground: JPEG has no
// transparency.
func onWhite(small image.Image, side int) *image.RGBA {
	out := image.NewRGBA(image.Rectangle{Max: fit(small.Bounds().Size(), side)})
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	draw.CatmullRom.Scale(out, out.Bounds(), small, small.Bounds(), draw.Over, nil)
	return out
}

// fit is a size of the same shape whose longer side is at most side.
func fit(size image.Point, side int) image.Point {
	longer := max(size.X, size.Y)
	if longer <= side {
		return size
	}
	return image.Pt(max(size.X*side/longer, 1), max(size.Y*side/longer, 1))
}

// turned brings a picture upright by its EXIF orientation, 1 to 8.
func turned(in *image.RGBA, orientation int) *image.RGBA {
	if orientation < 2 || orientation > 8 {
		return in
	}
	w, h := in.Rect.Dx(), in.Rect.Dy()
	size := image.Pt(w, h)
	if orientation >= 5 {
		size = image.Pt(h, w)
	}
	out := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			out.SetRGBA(x, y, in.RGBAAt(orientedFrom(orientation, x, y, w, h)))
		}
	}
	return out
}

// orientedFrom is where a shown pixel is stored; w and h are the stored
// picture's (EXIF 2.32, Orientation).
func orientedFrom(orientation, x, y, w, h int) (int, int) {
	switch orientation {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	default:
		return w - 1 - y, x
	}
}

// jpegMarks are what image/jpeg does not tell of a file.
type jpegMarks struct {
	// orientation is 0 when the file has none.
	orientation int
	progressive bool
}

// Markers of a JPEG file (ITU-T T.81, table B.1).
const (
	markerSOF2 = 0xC2
	markerSOS  = 0xDA
	markerEOI  = 0xD9
	markerTEM  = 0x01
	markerRST0 = 0xD0
	markerRST7 = 0xD7
	markerAPP1 = 0xE1
)

// readJPEGMarks walks over the segments before the picture's data and stops at
// the first thing it does not understand.
func readJPEGMarks(data []byte) jpegMarks {
	var marks jpegMarks
	for i := 2; i+4 <= len(data) && data[i] == 0xFF; {
		marker := data[i+1]
		switch {
		case marker == 0xFF:
			i++
			continue
		case marker == markerTEM || marker >= markerRST0 && marker <= markerRST7:
			i += 2
			continue
		case marker == markerSOS || marker == markerEOI:
			return marks
		}
		length := int(binary.BigEndian.Uint16(data[i+2:]))
		if length < 2 || i+2+length > len(data) {
			return marks
		}
		segment := data[i+4 : i+2+length]
		switch {
		case marker == markerSOF2:
			marks.progressive = true
		case marker == markerAPP1 && marks.orientation == 0:
			marks.orientation = exifOrientation(segment)
		}
		i += 2 + length
	}
	return marks
}

// exifOrientation reads tag 0x0112 of an APP1 segment, 0 without one (EXIF
// 2.32; TIFF 6.0, Image File Directory).
func exifOrientation(segment []byte) int {
	const tag, short, entrySize = 0x0112, 3, 12
	tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00"))
	if !ok || len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.BigEndian
	if string(tiff[:2]) == "II" {
		order = binary.LittleEndian
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < entrySize {
			return 0
		}
		if order.Uint16(entries) == tag && order.Uint16(entries[2:]) == short {
			if v := int(order.Uint16(entries[8:])); v >= 1 && v <= 8 {
				return v
			}
			return 0
		}
		entries = entries[entrySize:]
	}
	return 0
}
