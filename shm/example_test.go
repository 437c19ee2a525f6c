package shm_test

import (
	"errors"
	"fmt"

	"github.com/understudy-go/understudy/shm"
)

func Example() {
	image, err := shm.New[uint8](2, 3) // 2 rows of 3
	if err != nil {
		fmt.Println(err) // no memory, or no budget
		return
	}
	defer image.Release()

	pix, err := image.Slice()
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range pix {
		pix[i] = uint8(10 * i)
	}
	fmt.Println(image.Shape(), image.Len(), pix)
	fmt.Println(image.View(1, 2).Data())
	// Output:
	// [2 3] 6 [0 10 20 30 40 50]
	// [30 40 50]
}

// The maker of an array may write to it until it is frozen or sent.
func ExampleNew() {
	a, err := shm.New[int32](2, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Release()
	copy(a.Data(), []int32{1, 2, 3, 4})
	fmt.Println(a, a.Data())
	// Output: unfrozen array [2 2] of int32 [1 2 3 4]
}

// Every process that gets a shared array can write to it, at the same time:
// the program has to keep writers apart.
func ExampleNewShared() {
	board, err := shm.NewShared[uint8](8, 8)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer board.Release()
	board.View(3, 4).Data()[4] = 1
	fmt.Println(board.IsShared(), board.Freeze())
	// Output: true shm: a shared array cannot be frozen; make it with New
}

func ExampleArray_Freeze() {
	a, _ := shm.New[float64](4)
	defer a.Release()
	a.Data()[0] = 1.5
	if err := a.Freeze(); err != nil { // sending it does the same
		fmt.Println(err)
	}
	fmt.Println(a, a.Data()) // a write to a.Data()[0] would fault now
	// Output: frozen array [4] of float64 [1.5 0 0 0]
}

func ExampleArray_Release() {
	a, _ := shm.New[int32](100)
	b := a // the same handle
	a.Release()
	_, err := b.Slice()
	fmt.Println(errors.Is(err, shm.ErrReleased))
	// Output: true
}

func ExampleArray_View() {
	a, _ := shm.New[int64](4, 2)
	defer a.Release() // ends the views as well
	for i := range 4 {
		row := a.View(i, i+1).Data()
		row[0], row[1] = int64(i), int64(i*i)
	}
	fmt.Println(a.Data())
	// Output: [0 0 1 1 2 4 3 9]
}

func ExampleSetBudget() {
	defer shm.SetBudget(shm.SetBudget(1 << 20))
	_, err := shm.New[float64](1024, 1024)
	fmt.Println(errors.Is(err, shm.ErrBudget))
	fmt.Println(err)
	// Output:
	// true
	// shm: allocate array of 8.0 MiB, 1.0 MiB left: budget of this process for arrays exhausted; release arrays or raise it with SetBudget
}

func ExampleOutstanding() {
	a, _ := shm.New[uint8](4096)
	for _, h := range shm.Outstanding() {
		fmt.Println(h.Shared, h.Size, h.Handles)
	}
	a.Release()
	fmt.Println(len(shm.Outstanding()))
	// Output:
	// false 4096 1
	// 0
}
