package picture

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// quarters is a picture whose corners are red, green, blue and white, in the
// order of reading.
func quarters(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, cornerColors[2*(2*y/h)+2*x/w])
		}
	}
	return img
}

var cornerColors = [4]color.RGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {255, 255, 255, 255}}

func pngOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func jpegOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// animated is a GIF of three frames of different colours.
func animated(t testing.TB) []byte {
	t.Helper()
	var g gif.GIF
	for i := range 3 {
		frame := image.NewPaletted(image.Rect(0, 0, 40, 30), color.Palette{cornerColors[i], color.Black})
		g.Image, g.Delay = append(g.Image, frame), append(g.Delay, 10)
	}
	var out bytes.Buffer
	if err := gif.EncodeAll(&out, &g); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// oriented puts an EXIF segment with an orientation into a JPEG.
func oriented(file []byte, order binary.AppendByteOrder, orientation uint16) []byte {
	tiff := []byte("MM")
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		tiff = []byte("II")
	}
	tiff = order.AppendUint32(order.AppendUint16(tiff, 42), 8)
	tiff = order.AppendUint16(tiff, 2)
	// One other entry first: ImageWidth, as LONG.
	tiff = order.AppendUint32(order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x0100), 4), 1), 640)
	tiff = order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x0112), 3), 1)
	tiff = order.AppendUint16(order.AppendUint16(tiff, orientation), 0)
	tiff = order.AppendUint32(tiff, 0)
	segment := append([]byte("Exif\x00\x00"), tiff...)
	head := binary.BigEndian.AppendUint16([]byte{0xFF, 0xE1}, uint16(len(segment)+2))
	return slices.Concat(file[:2], head, segment, file[2:])
}

// claiming is a PNG whose header claims a size its data does not have.
func claiming(t testing.TB, w, h uint32) []byte {
	file := pngOf(t, quarters(4, 4))
	binary.BigEndian.PutUint32(file[16:], w)
	binary.BigEndian.PutUint32(file[20:], h)
	binary.BigEndian.PutUint32(file[29:], crc32.ChecksumIEEE(file[12:29]))
	return file
}

func TestReadPicture(t *testing.T) {
	photo := jpegOf(t, quarters(64, 48))
	tests := []struct {
		name     string
		data     []byte
		fileType string
		reason   Reason
	}{
		{"jpeg", photo, "JPG", ""},
		{"png", pngOf(t, quarters(8, 8)), "PNG", ""},
		{"animated gif", animated(t), "GIF", ""},
		{"most pixels", claiming(t, 5000, 5000), "PNG", ""},
		{"a pixel row too many", claiming(t, 5000, 5001), "", tooManyPixels},
		{"product overflows 32 bits", claiming(t, 1<<17, 1<<17), "", tooManyPixels},
		{"one endless row", claiming(t, 1<<31-1, 1), "", tooManyPixels},
		{"no width", claiming(t, 0, 10), "", notTakenType},
		{"cut in the header", photo[:20], "", notTakenType},
		{"cut in the data", photo[:len(photo)-100], "JPG", ""},
		{"empty", nil, "", notTakenType},
		{"text", []byte("hello"), "", notTakenType},
		{"web page in disguise", []byte("<html><script>alert(1)</script>"), "", notTakenType},
		{"svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), "", notTakenType},
		{"webp", []byte("RIFF\x24\x00\x00\x00WEBPVP8 "), "", notTakenType},
		{"pdf", []byte("%PDF-1.7\n"), "", notTakenType},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, reason := readPicture(test.data)
			if reason != test.reason {
				t.Fatalf("reason %q, want %q", reason, test.reason)
			}
			if reason == "" && p.FileType != test.fileType {
				t.Errorf("type %q, want %q", p.FileType, test.fileType)
			}
		})
	}
}

// previewOf makes the preview of a file and decodes it.
func previewOf(t testing.TB, data []byte) image.Image {
	t.Helper()
	p, reason := readPicture(data)
	if reason != "" {
		t.Fatalf("refused: %s", reason)
	}
	uri := NewPreviews().Of(t.Context(), p)
	if uri == "" {
		return nil
	}
	if len(uri) >= 30_000 {
		t.Errorf("the preview has %d bytes, LivePerson takes less than 30 KB", len(uri))
	}
	encoded, ok := strings.CutPrefix(uri, "data:image/jpeg;base64,")
	if !ok {
		t.Fatalf("not a data URI: %.40s", uri)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// corners names the colours of a picture's quarters in the order of reading.
func corners(img image.Image) string {
	b := img.Bounds()
	var out strings.Builder
	for i := range 4 {
		at := color.RGBAModel.Convert(img.At(b.Min.X+b.Dx()*(1+2*(i%2))/4, b.Min.Y+b.Dy()*(1+2*(i/2))/4)).(color.RGBA)
		best := slices.MinFunc([]int{0, 1, 2, 3}, func(x, y int) int { return distance(cornerColors[x], at) - distance(cornerColors[y], at) })
		out.WriteByte("RGBW"[best])
	}
	return out.String()
}

func distance(a, b color.RGBA) int {
	d := func(x, y uint8) int { return (int(x) - int(y)) * (int(x) - int(y)) }
	return d(a.R, b.R) + d(a.G, b.G) + d(a.B, b.B)
}

func TestPreviewIsUpright(t *testing.T) {
	photo := jpegOf(t, quarters(640, 320))
	wide, tall := image.Pt(480, 240), image.Pt(240, 480)
	tests := []struct {
		orientation uint16
		corners     string
		size        image.Point
	}{
		{0, "RGBW", wide}, {1, "RGBW", wide}, {2, "GRWB", wide}, {3, "WBGR", wide}, {4, "BWRG", wide},
		{5, "RBGW", tall}, {6, "BRWG", tall}, {7, "WGBR", tall}, {8, "GWRB", tall},
		{9, "RGBW", wide}, {65535, "RGBW", wide},
	}
	for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
		for _, test := range tests {
			img := previewOf(t, oriented(photo, order, test.orientation))
			if img == nil {
				t.Fatalf("%v, orientation %d: no preview", order, test.orientation)
			}
			if got := corners(img); got != test.corners || img.Bounds().Size() != test.size {
				t.Errorf("%v, orientation %d: %s %v, want %s %v", order, test.orientation, got, img.Bounds().Size(), test.corners, test.size)
			}
		}
	}
}

func TestPreview(t *testing.T) {
	photo := jpegOf(t, quarters(300, 200))
	clear := image.NewNRGBA(image.Rect(0, 0, 50, 50))
	tests := []struct {
		name string
		data []byte
		// corners is empty when no preview is made.
		corners string
		size    image.Point
	}{
		{"small stays as it is", pngOf(t, quarters(40, 30)), "RGBW", image.Pt(40, 30)},
		{"one pixel", pngOf(t, image.NewGray(image.Rect(0, 0, 1, 1))), "", image.Pt(1, 1)},
		{"large is scaled down", pngOf(t, quarters(2000, 1000)), "RGBW", image.Pt(480, 240)},
		{"very wide", pngOf(t, quarters(6000, 4)), "", image.Pt(480, 1)},
		{"transparent becomes white", pngOf(t, clear), "WWWW", image.Pt(50, 50)},
		{"first frame of an animation", animated(t), "RRRR", image.Pt(40, 30)},
		{"corrupt", photo[:len(photo)-1000], "", image.Point{}},
		{"claims what it does not have", claiming(t, 3000, 3000), "", image.Point{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			img := previewOf(t, test.data)
			switch {
			case img == nil && test.size == image.Point{}:
			case img == nil:
				t.Fatal("no preview")
			case img.Bounds().Size() != test.size:
				t.Errorf("size %v, want %v", img.Bounds().Size(), test.size)
			case test.corners != "" && corners(img) != test.corners:
				t.Errorf("corners %s, want %s", corners(img), test.corners)
			}
		})
	}
}

func TestPreviewTakesBoundedMemory(t *testing.T) {
	config := func(model color.Model, side int) *File {
		return &File{config: image.Config{ColorModel: model, Width: side, Height: side}}
	}
	progressive := config(color.YCbCrModel, 4900)
	progressive.exif.progressive = true
	tests := []struct {
		name string
		p    *File
		fits bool
	}{
		{"24 megapixels of a camera", config(color.YCbCrModel, 4900), true},
		{"the same, progressive", progressive, false},
		{"24 megapixels of deep colour", config(color.NRGBA64Model, 5000), false},
		{"a large screenshot", config(color.NRGBAModel, 5000), true},
		{"a palette", config(color.Palette{color.Black}, 5000), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if fits := test.p.decodedBytes() <= maxDecoded; fits != test.fits {
				t.Errorf("takes %d bytes: fits is %v, want %v", test.p.decodedBytes(), fits, test.fits)
			}
		})
	}
	if uri := NewPreviews().Of(t.Context(), progressive); uri != "" {
		t.Error("a preview was made beyond the limit")
	}
}

func TestPreviewsAreMadeOneAtATime(t *testing.T) {
	p, _ := readPicture(pngOf(t, quarters(8, 8)))
	s := NewPreviews()
	s.slot <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if uri := s.Of(ctx, p); uri != "" {
		t.Error("a preview was made out of turn")
	}
	<-s.slot
	if uri := s.Of(t.Context(), p); uri == "" {
		t.Error("no preview in its turn")
	}
}

func TestPreviewStaysBelowTheLimit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w, h := rapid.IntRange(1, 300).Draw(rt, "width"), rapid.IntRange(1, 300).Draw(rt, "height")
		noise := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		grain := rapid.IntRange(1, 8).Draw(rt, "grain")
		img := image.NewNRGBA(image.Rect(0, 0, w, h))
		for y := 0; y < h; y += grain {
			for x := 0; x < w; x += grain {
				c := noise.Uint32()
				for dy := range min(grain, h-y) {
					for dx := range min(grain, w-x) {
						img.SetNRGBA(x+dx, y+dy, color.NRGBA{uint8(c), uint8(c >> 8), uint8(c >> 16), uint8(c >> 24)})
					}
				}
			}
		}
		p := &File{config: image.Config{ColorModel: color.NRGBAModel, Width: w, Height: h}, Data: pngOf(t, img)}
		uri := NewPreviews().Of(t.Context(), p)
		if uri == "" {
			rt.Fatal("no preview of a sound picture")
		}
		if len(uri) >= 30_000 {
			rt.Fatalf("%d bytes", len(uri))
		}
	})
}

func FuzzPicture(f *testing.F) {
	photo := jpegOf(f, quarters(32, 24))
	f.Add(photo)
	f.Add(oriented(photo, binary.BigEndian, 6))
	f.Add(oriented(photo, binary.LittleEndian, 8)[:60])
	f.Add(pngOf(f, quarters(8, 8)))
	f.Add(animated(f))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II*\x00\xff\xff\xff\xff"))
	s := NewPreviews()
	f.Fuzz(func(t *testing.T, data []byte) {
		if o := readJPEGMarks(data).orientation; o < 0 || o > 8 {
			t.Errorf("orientation %d", o)
		}
		p, reason := readPicture(data)
		if (p == nil) != (reason != "") {
			t.Fatalf("picture %v with reason %q", p != nil, reason)
		}
		if p == nil {
			return
		}
		if p.config.Width*p.config.Height > maxPixels {
			t.Errorf("%d x %d is too much", p.config.Width, p.config.Height)
		}
		// A large claim is allowed and slow; the limits have tests of their own.
		if p.config.Width*p.config.Height > 1<<20 {
			return
		}
		if uri := s.Of(t.Context(), p); len(uri) >= 30_000 {
			t.Errorf("the preview has %d bytes", len(uri))
		}
	})
}
