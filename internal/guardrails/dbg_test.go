package guardrails
import ("testing";"fmt")
func TestDbg(t *testing.T){
 d:=allSecrets(t)
 text:=corpus()[9]
 for _,cut:=range []int{110,112,114,115,116}{
 sp,h:=d.scan(text[:cut],0,false)
 fmt.Printf("%d %q held %d\n",cut,text[h:cut],h)
 for _,s:=range sp{fmt.Println("  ",s.kind,s.start,s.end,text[s.start:s.end])}
 sp,h=d.scan(text,h,true)
 for _,s:=range sp{fmt.Println("  2",s.kind,s.start,s.end,text[s.start:s.end])}
 }
}
