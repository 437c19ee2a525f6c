// Package notepb is the message and the service for gRPC. The generated code is
// kept, so that nobody needs protoc to run the benchmark; who changes note.proto
// needs it once:
//
//	protoc --go_out=. --go_opt=paths=source_relative \
//		--go-grpc_out=. --go-grpc_opt=paths=source_relative note.proto
package notepb
