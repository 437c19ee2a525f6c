package transport
import ("testing";"io")
func BenchmarkZLane(b *testing.B){ x,y:=newSockets(b); body:=numbered(0,59)
 for b.Loop(){ if err:=x.Send(Message{Body:body});err!=nil{b.Fatal(err)}; if _,err:=y.Receive();err!=nil{b.Fatal(err)}}}
func BenchmarkZLaneNoCount(b *testing.B){ f,g:=socketPair(b); x:=newSocket(b,f); y,_:=NewSocket(g,newFramer()); defer y.Close(); body:=numbered(0,59)
 for b.Loop(){ if err:=x.Send(Message{Body:body});err!=nil{b.Fatal(err)}; if _,err:=y.Receive();err!=nil{b.Fatal(err)}}}
func BenchmarkZRaw(b *testing.B){ f,g:=socketPair(b); x,y:=fileConn(f),fileConn(g); defer x.Close(); defer y.Close(); body:=numbered(0,59); buf:=make([]byte,64)
 for b.Loop(){ if _,err:=x.Write(body);err!=nil{b.Fatal(err)}; if _,err:=io.ReadFull(y,buf);err!=nil{b.Fatal(err)}}}
func BenchmarkZEagainLane(b *testing.B){ _,y:=newSockets(b); 
 for b.Loop(){ y.raw.Control(func(fd uintptr){ y.doRead(fd) })}}
func BenchmarkZEagainRaw(b *testing.B){ _,y:=newSockets(b); buf:=make([]byte,64)
 for b.Loop(){ y.raw.Control(func(fd uintptr){ recv(int(fd),buf) })}}
