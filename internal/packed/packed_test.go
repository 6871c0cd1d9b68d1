package packed_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"lpbridge/internal/packed"
)

// TestValuesAreAMapThatForgets holds values against a map under random use: what is
// there is what was last put in, and only where there is no room something is missing.
func TestValuesAreAMapThatForgets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const roomy, tight = 4 << 20, 128 << 10
		most := rapid.SampledFrom([]int{roomy, tight}).Draw(t, "bytes")
		values, model := packed.New(most), map[string][]byte{}
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			key := []byte(fmt.Sprint("key-", rapid.IntRange(0, 60).Draw(t, "key")))
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				values.Drop(key)
				delete(model, string(key))
			default:
				value := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.SampledFrom([]int{0, 1, 7, 900, 9000}).Draw(t, "length"))
				values.Put(key, value)
				model[string(key)] = value
			}
			there := 0
			for k, want := range model {
				got, ok := values.Get([]byte(k))
				if ok && !bytes.Equal(got, want) {
					t.Fatalf("%s: %d bytes, want %d", k, len(got), len(want))
				}
				if !ok && most == roomy {
					t.Fatalf("%s is gone", k)
				}
				if ok {
					there++
				}
			}
			if values.Len() != there {
				t.Fatalf("%d values, of which %d are known", values.Len(), there)
			}
		}
	})
}

// TestTheOldestGiveWay fills values far over and looks who is left.
func TestTheOldestGiveWay(t *testing.T) {
	t.Parallel()
	const most, n = 1 << 20, 50_000
	v := packed.New(most)
	value := make([]byte, 100)
	key := func(i int) []byte { return fmt.Appendf(nil, "%08d", i) }
	for i := range n {
		v.Put(key(i), value)
	}
	if fits := most / 110; v.Len() > fits || v.Len() < fits*9/10 {
		t.Errorf("%d values of 110 bytes in a MiB", v.Len())
	}
	for i := n - v.Len(); i < n; i++ {
		if _, ok := v.Get(key(i)); !ok {
			t.Fatalf("%d is gone, of which %d came later", i, n-1-i)
		}
	}
}

func TestWhatIsTooLongIsNotKept(t *testing.T) {
	t.Parallel()
	v := packed.New(1 << 20)
	v.Put([]byte("a"), []byte("short"))
	v.Put([]byte("a"), make([]byte, 65<<10))
	if _, ok := v.Get([]byte("a")); ok || v.Len() != 0 {
		t.Error("something is kept")
	}
}

// TestValuesTakeLittle counts what a value takes in the heap besides its own bytes.
func TestValuesTakeLittle(t *testing.T) {
	const n = 100_000
	v := packed.New(64 << 20)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	value := make([]byte, 100)
	for i := range n {
		v.Put(fmt.Appendf(nil, "%08d", i), value)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int64(after.HeapAlloc-before.HeapAlloc) / n; runtime.GOOS != "windows" && each > 16 {
		t.Errorf("%d bytes a value", each)
	}
	if v.Len() != n {
		t.Errorf("%d values", v.Len())
	}
}

func BenchmarkGet(b *testing.B) {
	const n = 100_000
	v := packed.New(64 << 20)
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "%08d", i)
		v.Put(keys[i], make([]byte, 100))
	}
	i := 0
	for b.Loop() {
		if _, ok := v.Get(keys[i%n]); !ok {
			b.Fatal("gone")
		}
		i += 7919
	}
}
