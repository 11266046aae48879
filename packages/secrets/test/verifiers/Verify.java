import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Set;

/** Validates the chains in a directory by Java's own rules: `java Verify.java DIRECTORY`. */
class Verify {
  static X509Certificate read(CertificateFactory factory, Path file) throws Exception {
    try (InputStream input = Files.newInputStream(file)) {
      return (X509Certificate) factory.generateCertificate(input);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of(arguments[0]);
    CertificateFactory factory = CertificateFactory.getInstance("X.509");
    X509Certificate root = read(factory, directory.resolve("root.pem"));
    X509Certificate middle = read(factory, directory.resolve("middle.pem"));
    PKIXParameters rules = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
    rules.setRevocationEnabled(false);
    for (String[] leaf : new String[][] {{"server.pem", "1.3.6.1.5.5.7.3.1"}, {"client.pem", "1.3.6.1.5.5.7.3.2"}}) {
      X509Certificate certificate = read(factory, directory.resolve(leaf[0]));
      CertPath path = factory.generateCertPath(List.of(certificate, middle));
      CertPathValidator.getInstance("PKIX").validate(path, rules);
      if (!certificate.getExtendedKeyUsage().equals(List.of(leaf[1]))) throw new Exception(leaf[0] + ": " + certificate.getExtendedKeyUsage());
      if (certificate.getBasicConstraints() != -1 || middle.getBasicConstraints() < 0) throw new Exception(leaf[0] + ": basic constraints");
    }
    System.out.println("verified");
  }
}
