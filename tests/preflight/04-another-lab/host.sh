cat > /run/other.yaml <<LAB
name: other
namespaces:
  host: { bridges: { br-other: { addresses: [192.168.1.1/24] } } }
LAB
$NSLAB apply /run/other.yaml
